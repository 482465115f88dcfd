FROM klakegg/hugo:ext-alpine-onbuild AS hugo
FROM nginx:alpine-slim
COPY --from=hugo /target /usr/share/nginx/html
