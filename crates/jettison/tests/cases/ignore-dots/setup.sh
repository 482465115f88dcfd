printf './a\nb/../c\n/d/./e\nf//g\n.\n' > .dockerignore; mkdir -p d f; touch a b c d/e d/x f/g f/y
