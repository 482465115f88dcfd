FROM a AS 0a
FROM a AS b.c-d_e
FROM b.c-d_e
COPY --from=0 x y
