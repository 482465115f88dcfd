mkdir ../other; echo other > ../other/f
