FROM	debian
RUN		a	b
ENV	a=b	c=d
COPY	a	b	/c/
