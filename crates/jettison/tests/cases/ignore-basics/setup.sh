cat > .dockerignore <<'I'
# a comment
*.log

/rooted
folder/
  spaced  
**/deep.txt
temp?
node_modules
!important.log
docs/*
!docs/keep.md
I
mkdir -p sub/more folder docs/in node_modules/x sub/node_modules sub/rooted
for f in a.log sub/b.log important.log rooted sub/rooted/f folder/f spaced deep.txt sub/deep.txt sub/more/deep.txt temp1 temp22 node_modules/x/y sub/node_modules/z docs/a.md docs/keep.md docs/in/k; do echo "$f" > "$f"; done
