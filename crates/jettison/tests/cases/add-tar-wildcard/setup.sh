mkdir t; echo x > t/x; touch -d '2003-04-05 UTC' t/x; tar -C t -cf a.tar x; echo y > t/y; touch -d '2003-04-05 UTC' t/y; tar -C t -cf b.tar y; echo f > f1; rm -r t
