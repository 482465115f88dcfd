FROM a
RUN cat <<''
text

RUN y
