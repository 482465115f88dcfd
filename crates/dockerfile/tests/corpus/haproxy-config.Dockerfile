FROM haproxy:2.9
USER root
COPY --chmod=644 <<haproxy.cfg /usr/local/etc/haproxy/
global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
frontend web
  bind *:80
  http-request return status 200 content-type text/plain string "Hello"
haproxy.cfg
USER haproxy
