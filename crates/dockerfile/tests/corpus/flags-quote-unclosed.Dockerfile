FROM a
RUN --mount="target=/x y z
