mkdir -p ../server t; echo x > t/f; touch -d '2003-04-05 UTC' t/f; tar -C t -cf ../server/a.tar f; tar -C t -czf ../server/a.tgz f; rm -r t
