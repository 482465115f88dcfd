echo x > f; chmod 644 f; mkdir -p dir/sub; echo y > dir/sub/y; chmod 640 dir/sub/y; echo z > dir/z; chmod 700 dir/z dir/sub
