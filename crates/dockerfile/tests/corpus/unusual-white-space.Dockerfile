FROM debian
RUN a b
ENV a=b c=d
RUN xy
