# escape=`
FROM a
ENV a=b` c d=`"e f="g`"h" i=C:\x\
LABEL p="C:\" q=r
