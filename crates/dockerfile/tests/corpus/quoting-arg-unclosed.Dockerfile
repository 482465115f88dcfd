FROM a
ARG a="b c
RUN x
