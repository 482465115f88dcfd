rm -f Dockerfile.none
n=$(printf 'n%.0s' $(seq 1 200)); p=$(printf 'deep/%.0s' $(seq 1 60)); echo x > "$n"; mkdir -p "$p$n"; echo y > "$p$n/$n"; ln -s "$p$n/$n" link; ln "$n" "hard-$n"
