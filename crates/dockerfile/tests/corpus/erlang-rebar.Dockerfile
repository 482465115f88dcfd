FROM erlang:26-alpine AS b
COPY . /src
RUN cd /src && rebar3 as prod release -o /rel
FROM alpine:3.19
RUN apk add --no-cache openssl ncurses-libs libstdc++
COPY --from=b /rel /
ENTRYPOINT ["/svc/bin/svc"]
CMD ["foreground"]
