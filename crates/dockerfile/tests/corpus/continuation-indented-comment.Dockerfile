FROM a
RUN x \
    # c
	# d
 y
