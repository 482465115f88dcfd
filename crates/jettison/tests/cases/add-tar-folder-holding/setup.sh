mkdir dir t; echo x > t/f; touch -d '2003-04-05 UTC' t/f; tar -C t --format=ustar -b 20 -cf dir/a.tar f; rm -r t
