mkdir t
echo x > t/f
touch -d '2003-04-05 UTC' t/f
tar -C t -cjf a.tar.bz2 f
tar -C t -cJf a.tar.xz f
rm -r t
