printf '\357\273\277a\r\nb\r\n!c\r\n' > .dockerignore; touch a b c d
