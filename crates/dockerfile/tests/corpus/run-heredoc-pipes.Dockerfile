FROM debian
RUN cat <<A 3<<B | tee /x && d
a
A
b
B
RUN e
