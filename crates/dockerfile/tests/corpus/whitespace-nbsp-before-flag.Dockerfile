FROM a
RUN  --mount=x y
