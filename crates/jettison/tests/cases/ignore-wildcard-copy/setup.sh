echo b.txt > .dockerignore; touch a.txt b.txt c.txt
