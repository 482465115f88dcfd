FROM debian
RUN a \
# one
   # two
  b \
#three
  c
