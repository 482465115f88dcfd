FROM a
RUN x \
# c \
 y
RUN z
