mkdir -p d/sub; echo x > d/x; echo n > d/n; chmod 755 d/x; chmod 644 d/n; chmod 700 d/sub; echo y > d/sub/y; chmod 600 d/sub/y
