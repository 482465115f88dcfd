mkdir -p dir/sub; echo linked > dir/a; ln dir/a dir/b; ln dir/a dir/sub/c
