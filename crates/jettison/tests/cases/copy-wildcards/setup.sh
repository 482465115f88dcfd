touch one.txt two.txt .hidden.txt a.md bb.md a.c b.c c.c; mkdir -p src/x src/y d1 d2/in; touch src/x/main.c src/y/main.h src/y/other d1/f d2/in/g .dot
