# c \
FROM a
# d \
RUN x
