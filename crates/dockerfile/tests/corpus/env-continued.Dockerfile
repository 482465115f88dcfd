FROM debian
ENV a=b \
    c="d \
  e" \
# note
    f=g
