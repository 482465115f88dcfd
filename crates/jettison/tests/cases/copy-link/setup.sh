echo text > f; mkdir -p dir/sub; echo y > dir/sub/y; chmod 700 dir/sub
