mkdir docker; printf 'FROM scratch\nCOPY . /\n' > docker/Own; echo b > docker/Own.dockerignore; echo a > .dockerignore; touch a b c
