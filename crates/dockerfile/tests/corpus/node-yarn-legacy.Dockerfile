FROM node:12-alpine
LABEL maintainer="Web Team <web@example.org>"
RUN apk add --no-cache --virtual .gyp python3 make g++
WORKDIR /usr/src/app
COPY package.json yarn.lock ./
RUN yarn --pure-lockfile && yarn cache clean; \
    apk del .gyp
ADD . /usr/src/app
ENV NODE_ENV production
ENV PORT 8080
EXPOSE $PORT
CMD yarn start
