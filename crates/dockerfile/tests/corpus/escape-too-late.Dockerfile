# hello
# escape=`
FROM debian
RUN a `
RUN b \
  c
