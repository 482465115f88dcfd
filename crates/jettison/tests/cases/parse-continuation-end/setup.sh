printf 'FROM busybox\nENV A=b \\\n' > Dockerfile
