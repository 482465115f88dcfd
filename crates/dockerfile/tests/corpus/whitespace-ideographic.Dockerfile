FROM a
ENV a=b　c=d
LABEL x　y z
　RUN x
