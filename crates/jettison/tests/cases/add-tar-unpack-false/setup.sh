mkdir t; echo x > t/f; touch -d '2003-04-05 UTC' t/f; tar -C t --format=ustar --owner=0 --group=0 -cf a.tar f; rm -r t; truncate -s 10240 a.tar
