mkdir ../other; echo other > ../other/f; chmod 600 ../other/f; echo mine > f
