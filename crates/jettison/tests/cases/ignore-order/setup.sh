printf '*\n!a\n!b\nb\n!d/e\n!g/**/h\n' > .dockerignore
mkdir -p d/e g/x/y; touch a b c d/f d/e/in g/x/y/h g/x/i
