FROM ubuntu:22.04
RUN apt-get update && \
  DEBIAN_FRONTEND=noninteractive apt-get -yqq install \
    nginx \
    supervisor \
  && \
  apt-get clean
COPY <<nginx.conf <<supervisord.conf /etc/conf/
worker_processes 1;
nginx.conf
[supervisord]
nodaemon=true
supervisord.conf
CMD supervisord -c /etc/conf/supervisord.conf
