FROM a
ONBUILD ADD <<-EOF /x
	body
	EOF
RUN y
