mkdir ../server; printf 'content' > ../server/f
