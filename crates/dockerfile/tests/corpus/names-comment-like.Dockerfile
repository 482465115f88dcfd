FROM a
RUN #x
ENV a=#b
CMD # c
#RUN y
#
# 
COPY #a #b
