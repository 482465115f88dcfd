FROM a
RUN cat <<- && true
