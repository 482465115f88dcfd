FROM a
ONBUILD COPY --from=b --link c d
ONBUILD HEALTHCHECK --retries=2 CMD x
