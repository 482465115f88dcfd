FROM debian
CMD ["a", \
  "b", \
# note
  "c"]
RUN ["d" \
, "e"]
