FROM a
RUN cat file3<<A
RUN echo a<<B
RUN 0<<C cat
c
C
