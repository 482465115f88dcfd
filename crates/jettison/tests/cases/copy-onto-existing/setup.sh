echo new > f; mkdir -m 755 -p tree/sub; echo g > tree/sub/g
