FROM node AS builder
RUN npm run build
FROM nginx
COPY --from=builder dist /usr/share/nginx/html   # the number would do as well
