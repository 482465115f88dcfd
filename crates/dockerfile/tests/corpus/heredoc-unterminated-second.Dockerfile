FROM a
RUN <<A <<B
1
A
2
