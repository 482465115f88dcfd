mkdir t; echo x > t/f; touch -d '2003-04-05 UTC' t/f; tar -C t -czf a.tgz f; cp a.tgz named-otherwise; rm -r t
