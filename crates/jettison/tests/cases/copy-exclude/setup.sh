mkdir -p docs/in src; touch a.md b.txt c.c docs/x.md docs/keep docs/in/y.txt src/z.txt src/w.md
