FROM --platform= a
COPY --from= --chown= b c
HEALTHCHECK --interval= CMD x
