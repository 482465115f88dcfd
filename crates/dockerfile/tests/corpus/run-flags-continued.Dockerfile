FROM debian
RUN --mount=type=bind,target=/a \
  --mount=type=cache,target=/b \
# note
  --network=default \
  c
