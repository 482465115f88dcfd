FROM openresty/openresty:alpine-fat
RUN luarocks install lua-resty-jwt && opm get zmartzone/lua-resty-openidc
COPY <<'CONF' /etc/nginx/conf.d/default.conf
server {
  listen 80;
  location / {
    content_by_lua_block { ngx.say("hi $remote_addr") }
  }
}
CONF
