mkdir -p t/sub; echo x > t/f; chmod 4711 t/f; chown 5:6 t/f; ln t/f t/hard; ln -s f t/soft; chmod 1777 t/sub; chown 7:8 t/sub; touch -d '2003-04-05 06:07:08 UTC' t/f t/sub
tar -C t -cf a.tar .; rm -r t
