# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM rust:1.80-bookworm AS build
ARG TARGETARCH
RUN <<EOT
  set -eux
  case "$TARGETARCH" in
    amd64) echo x86_64-unknown-linux-musl > /target ;;
    arm64) echo aarch64-unknown-linux-musl > /target ;;
    *) echo "unsupported: $TARGETARCH" >&2; exit 1 ;;
  esac
  rustup target add "$(cat /target)"
EOT
WORKDIR /src
COPY --link . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=target-$TARGETARCH <<EOT
cargo build --release --target "$(cat /target)"
cp target/$(cat /target)/release/tool /tool
EOT

FROM scratch
COPY --link --from=build --chmod=0755 /tool /tool
USER 65534:65534
ENTRYPOINT [ "/tool" ]
