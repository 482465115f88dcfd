FROM a
HEALTHCHECK --retries=-2 CMD x
