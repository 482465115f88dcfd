FROM crystallang/crystal:1.12-alpine
WORKDIR /app
COPY shard.yml shard.lock ./
RUN shards install --production
COPY . .
RUN crystal build --static --release src/app.cr
ENTRYPOINT ["./app"]
