mkdir t; ln -s /out t/l; tar -C t -cf a.tar l; rm t/l; mkdir t/l; echo x > t/l/f; touch -d '2003-04-05 UTC' t/l/f; tar -C t -rf a.tar l/f; rm -r t
