FROM ocaml/opam:debian-12-ocaml-5.1 AS build
RUN sudo apt-get update && sudo apt-get install -y m4 pkg-config libev-dev
COPY --chown=opam app.opam /src/
WORKDIR /src
RUN opam install . --deps-only
COPY --chown=opam . /src
RUN opam exec -- dune build @install --profile=release && cp $(opam exec -- which dune) /tmp
FROM debian:12-slim
COPY --from=build /src/_build/default/bin/main.exe /usr/bin/app
ENTRYPOINT /usr/bin/app
