FROM a
RUN x y
ENV a=b c=d
COPY a b c
