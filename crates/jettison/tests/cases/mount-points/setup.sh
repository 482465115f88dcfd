echo s > ../tok
