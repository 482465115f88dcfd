FROM a
RUN --mount=target=/a --mount=target=/b,rw --mount=type=tmpfs,target=/c --mount=type=ssh x
