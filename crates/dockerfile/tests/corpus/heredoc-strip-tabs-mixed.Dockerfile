FROM a
COPY <<-EOF /x
		a
 	b
	 c

	EOF
