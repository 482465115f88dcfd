mkdir -p ../other/sub; echo f > ../other/f; echo g > ../other/sub/g; echo no > ../other/no; echo no > ../other/.dockerignore; echo f > .dockerignore
