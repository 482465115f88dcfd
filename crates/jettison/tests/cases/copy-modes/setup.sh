mkdir d; for m in 000 111 400 644 666 777 2755 4755 6711 1644; do echo $m > d/f$m; chmod $m d/f$m; done
echo x > d/suid; chmod 4755 d/suid; mkdir d/sgid; chmod 2775 d/sgid
