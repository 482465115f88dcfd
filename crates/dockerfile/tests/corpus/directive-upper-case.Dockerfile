# ESCAPE=`
# Syntax=x
FROM a
RUN x `
 y
