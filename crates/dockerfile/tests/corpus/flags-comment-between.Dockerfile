FROM a
RUN --mount=type=cache,target=/x \
  # why
  --network=none \
  y
