FROM a
COPY "a b" c
COPY 'x' y\ z w
