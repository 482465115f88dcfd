FROM nimlang/nim:2.0.8-alpine AS b
COPY src.nim /w/
RUN cd /w && nim c -d:release --passL:-static src.nim
FROM busybox:musl
COPY --from=b /w/src /bin/src
CMD src
