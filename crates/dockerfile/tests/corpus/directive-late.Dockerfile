FROM a
# escape=`
RUN x \
 y
