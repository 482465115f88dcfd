FROM a
COPY --chown=jürgen c d
