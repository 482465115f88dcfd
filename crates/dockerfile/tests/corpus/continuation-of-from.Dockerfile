FROM \
  a \
  AS \
  b
