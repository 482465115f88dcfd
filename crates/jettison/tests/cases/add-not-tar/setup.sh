echo hello | gzip -n > plain.gz; touch -d '2003-04-05 UTC' plain.gz; head -c 10240 /dev/zero > zeros.tar; : > empty
