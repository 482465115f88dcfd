FROM alpine:3.20 AS b
RUN apk add --no-cache build-base linux-headers
ADD https://download.redis.io/redis-stable.tar.gz /tmp/
RUN tar xzf /tmp/redis-stable.tar.gz -C /tmp \
  && cd /tmp/redis-stable \
  && make LDFLAGS="-static" MALLOC=libc -j
FROM scratch
COPY --from=b /tmp/redis-stable/src/redis-server /
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["/redis-server", "--save", "60", "1", "--protected-mode", "no"]
