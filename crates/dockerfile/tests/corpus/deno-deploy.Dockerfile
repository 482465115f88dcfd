FROM denoland/deno:alpine-1.44.0
EXPOSE 1993
WORKDIR /app
USER deno
COPY deps.ts .
RUN deno cache deps.ts
ADD . .
RUN deno cache main.ts
CMD ["run", "--allow-net", "--allow-env=HOME,PORT", "main.ts"]
