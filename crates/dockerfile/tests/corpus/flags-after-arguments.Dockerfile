FROM a
RUN x --mount=type=cache
COPY a --from=b c
