FROM a
RUN echo $((1<<2)) $(( 1 << 2 ))
2
