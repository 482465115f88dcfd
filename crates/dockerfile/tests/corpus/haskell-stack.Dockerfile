FROM fpco/stack-build:lts-22 AS build
COPY stack.yaml package.yaml *.cabal /opt/build/
RUN cd /opt/build && stack build --system-ghc --only-dependencies
COPY . /opt/build
RUN cd /opt/build && stack install --system-ghc --local-bin-path /out
FROM ubuntu:22.04
RUN apt-get update && apt-get install -y libgmp10 ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
CMD ["serve", "+RTS", "-N", "-RTS"]
