FROM a
COPY <<f <<f /d/
one
f
two
f
