FROM a
ENV a b=c
ENV "a b" c
ENV 'x'=y
