printf '*\n!src\n!package.json\nsrc/secret\n' > .dockerignore
mkdir -p src/in other; touch src/a src/in/b src/secret other/c package.json README
