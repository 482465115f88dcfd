# escape=`
FROM a
COPY a C:\b\
RUN dir C:\ `
 && x
