mkdir t; echo x > t/f; touch -d '2003-04-05 UTC' t/f; tar -C t --zstd -cf a.tar.zst f; rm -r t
