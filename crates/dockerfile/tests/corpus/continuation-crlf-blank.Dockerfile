FROM a
RUN x \

  y
# c
RUN z
