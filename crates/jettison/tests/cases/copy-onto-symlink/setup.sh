echo text > f; mkdir dir; echo in > dir/in
