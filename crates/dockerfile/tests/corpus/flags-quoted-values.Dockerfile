FROM a
COPY --chown="a b":c --from='x' d e
RUN --mount="type=cache,target=/x y" z
