mkdir -p t/d; echo new > t/f; echo g > t/d/g; chmod 755 t/d; touch -d '2003-04-05 UTC' t/f t/d/g t/d; tar -C t --owner=1 --group=2 -cf a.tar f d; rm -r t
