FROM a
COPY "--from=b" c d
COPY --'from'=b c d
