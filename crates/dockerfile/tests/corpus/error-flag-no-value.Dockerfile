FROM a
COPY --from c d
