mkdir ../server; printf 'content' > ../server/f; sum=$(sha256sum ../server/f | cut -d' ' -f1); sed -i "s/sha256:[0-9a-f]*/sha256:$sum/" Dockerfile
