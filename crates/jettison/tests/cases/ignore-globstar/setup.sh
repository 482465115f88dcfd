printf '**/*.o\na/**/z\n**/tmp/**\nb/**\n!b/keep\n' > .dockerignore
mkdir -p a/x/y tmp c/tmp/d b/in; touch m.o a/n.o a/x/y/k.o a/z a/x/z a/x/y/z tmp/1 c/tmp/2 c/tmp/d/3 b/keep b/in/gone c/stay
