# escape=`
FROM debian
RUN x `
  y
