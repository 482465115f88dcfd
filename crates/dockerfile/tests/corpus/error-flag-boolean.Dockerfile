FROM a
COPY --link=maybe d e
