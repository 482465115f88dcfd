FROM a
ARG --x=y z
STOPSIGNAL --q 9
