FROM node
COPY . .
RUN npm install
RUN npm run build

FROM nginx

COPY --from=0 dist /usr/share/nginx/html
CMD [ "nginx", "-g", "daemon off;" ]
