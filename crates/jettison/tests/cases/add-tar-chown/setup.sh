mkdir -p t/d; echo x > t/f; chown 1:2 t/f; touch -d '2003-04-05 UTC' t/f t/d; tar -C t -cf a.tar f d; rm -r t
