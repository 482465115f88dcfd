# a

# b
FROM a
# c
# d

RUN x
   # e
RUN y
# f