\
FROM a
RUN x
