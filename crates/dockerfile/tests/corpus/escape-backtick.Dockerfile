# escape=`
FROM windows
WORKDIR C:\
RUN dir `
  /s
COPY a C:\b\
ENV x=C:\y z="q`"r" w=a` b
