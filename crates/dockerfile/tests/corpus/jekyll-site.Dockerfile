FROM ruby:3.3 AS b
ENV JEKYLL_ENV=production LC_ALL=C.UTF-8
WORKDIR /site
COPY Gemfile* .
RUN bundle
COPY . .
RUN bundle exec jekyll build -d /out --trace
FROM joseluisq/static-web-server:2
COPY --from=b /out /public
