printf not-so-secret > ../tok
