mkdir -p dir/sub dir/empty; echo one > dir/one; echo two > dir/sub/two
chmod 700 dir/sub; chmod 1777 dir/empty; chmod 600 dir/one; chmod 755 dir/sub/two
touch -d '2001-02-03 04:05:06 UTC' dir/one; touch -d '2002-01-01 UTC' dir/sub/two dir/sub dir/empty
