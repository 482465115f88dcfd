FROM alpine:3.20 AS zig
ARG ZIG=0.13.0
ADD https://ziglang.org/download/${ZIG}/zig-linux-x86_64-${ZIG}.tar.xz /tmp/zig.tar.xz
RUN mkdir /opt/zig && tar -xJf /tmp/zig.tar.xz -C /opt/zig --strip-components=1
COPY . /src
RUN /opt/zig/zig build-exe /src/main.zig -O ReleaseSmall -target x86_64-linux-musl -femit-bin=/main
FROM scratch
COPY --from=zig /main /
CMD ["/main"]
