mkdir t; echo x > t/f; touch -d '2003-04-05 UTC' t/f; tar -C t --transform 's,f,../../up,' -P -cf a.tar f; tar -C t --transform 's,f,/abs/f,' -P -rf a.tar f; rm -r t
