# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM rust:1.80 AS buildbase
RUN rustup target add wasm32-wasip1
FROM buildbase AS build
COPY Cargo.toml .
COPY src ./src
RUN cargo build --target wasm32-wasip1 --release
FROM scratch
ENTRYPOINT [ "hello.wasm" ]
COPY --link --from=build /target/wasm32-wasip1/release/hello.wasm /hello.wasm
