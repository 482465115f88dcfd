mkdir t; mknod t/null c 1 3; mkfifo t/pipe; echo x > t/f; touch -d '2003-04-05 UTC' t/*; tar -C t -cf a.tar null pipe f; rm -r t
