FROM a
RUN --network=none -- --mount=x y
