FROM node:20 AS web
WORKDIR /w
COPY --exclude=*.test.ts --exclude=e2e . .
RUN npm ci && npm run build

FROM nginx:1.27-alpine
COPY --from=web /w/dist /usr/share/nginx/html
COPY nginx.conf /etc/nginx/templates/default.conf.template
HEALTHCHECK CMD wget -qO- http://127.0.0.1/ > /dev/null
CMD ["nginx", "-g", "daemon off;"]
