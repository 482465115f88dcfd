FROM debian
RUN <<-EOF
	echo a
		b
	EOF
RUN <<-A <<-B
	A
	c
		B
