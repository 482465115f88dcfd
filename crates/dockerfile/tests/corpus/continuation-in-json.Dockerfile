FROM a
CMD ["a", \
# c
  "b", \

  "c"]
