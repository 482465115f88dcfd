FROM oven/bun:1.1 AS build
WORKDIR /src
COPY --link bun.lockb package.json ./
RUN bun install --frozen-lockfile --ignore-scripts
COPY --link . .
RUN bun build ./index.ts --compile --minify --outfile=/out/server

FROM scratch
COPY --from=build /out/server /server
ENTRYPOINT ["/server"]
