# unknown=x
# escape=`
FROM debian
RUN a \
  b
