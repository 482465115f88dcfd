ARG a
ARG b=c d='e f' g="h" i=
FROM a
ARG j=k=l "m=n" o=p\ q
