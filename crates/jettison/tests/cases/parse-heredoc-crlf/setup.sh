printf 'FROM busybox\r\nCOPY <<EOF /x\r\none\r\ntwo\r\nEOF\r\n' > Dockerfile
