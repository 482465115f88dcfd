echo x > f; mkdir -p dir/sub; echo y > dir/sub/y; chmod 640 dir/sub/y
