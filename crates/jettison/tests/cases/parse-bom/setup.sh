printf '\357\273\277FROM busybox\nENV A=b\n' > Dockerfile
