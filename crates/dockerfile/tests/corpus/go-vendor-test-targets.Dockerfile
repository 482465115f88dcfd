ARG GO_VERSION="1.22"
ARG BASE=golang:${GO_VERSION}
FROM ${BASE} AS base
WORKDIR /src
FROM base AS lint
RUN --mount=target=. --mount=type=cache,target=/root/.cache golangci-lint run ./...
FROM base AS test
RUN --mount=target=. go test -race -coverprofile=/tmp/c.out ./... | tee /tmp/log
FROM scratch AS coverage
COPY --from=test /tmp/c.out /
FROM base AS build
ARG VERSION=dev COMMIT
RUN --mount=target=. --mount=type=cache,target=/root/.cache/go-build go build -ldflags "-X main.v=${VERSION}-${COMMIT:-unknown}" -o /out/ ./...
FROM scratch
COPY --from=build /out/* /
