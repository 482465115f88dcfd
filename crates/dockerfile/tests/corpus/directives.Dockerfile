# syntax=docker/dockerfile:1
# check=skip=all;error=true
# escape=\
# other=x
FROM debian
