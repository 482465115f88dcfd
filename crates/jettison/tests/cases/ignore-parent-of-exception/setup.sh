printf 'a\n!a/b/c\n' > .dockerignore
mkdir -p a/b/c a/b/d; chmod 750 a a/b; touch a/x a/b/y a/b/c/z a/b/d/w
