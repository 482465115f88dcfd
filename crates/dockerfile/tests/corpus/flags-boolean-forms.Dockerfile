FROM a
COPY --link --parents=true a b
COPY --link=FALSE --parents=True a b
