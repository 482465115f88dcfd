FROM a
RUN x \
 y # not a comment \
 z
