FROM a
RUN cat <<-	EOF
	b
	EOF
