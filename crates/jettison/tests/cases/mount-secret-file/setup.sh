echo not-so-secret > ../tok
