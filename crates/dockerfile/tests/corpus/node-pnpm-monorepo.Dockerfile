# syntax=docker/dockerfile:1.7
ARG NODE_VERSION=22
FROM node:${NODE_VERSION}-slim AS base
ENV PNPM_HOME="/pnpm" \
    PATH="/pnpm:$PATH"
RUN corepack enable
WORKDIR /repo

FROM base AS prune
COPY . .
RUN pnpm dlx turbo prune @shop/api --docker

FROM base AS build
COPY --from=prune /repo/out/json/ .
RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm install --frozen-lockfile
COPY --from=prune /repo/out/full/ .
RUN pnpm run build --filter=@shop/api... \
    && pnpm deploy --filter=@shop/api --prod /out

FROM gcr.io/distroless/nodejs22-debian12:nonroot
COPY --from=build --chown=nonroot:nonroot /out /app
WORKDIR /app
EXPOSE 3000/tcp
CMD ["dist/main.js"]
