	FROM	a	AS	b
		RUN		x		y
	COPY	--from=b	c	d
