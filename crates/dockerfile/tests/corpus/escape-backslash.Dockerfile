# Escape = \
FROM debian
RUN a \
  b
