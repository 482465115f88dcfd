# syntax=docker/dockerfile:1.9
# escape=`
# check=skip=all;error=true
FROM a
RUN x `
 y
