FROM caddy:2-builder AS builder
RUN xcaddy build \
    --with github.com/caddy-dns/cloudflare \
    --with github.com/mholt/caddy-l4@v0.0.0

FROM caddy:2
COPY --from=builder /usr/bin/caddy /usr/bin/caddy
COPY <<-EOF /etc/caddy/Caddyfile
	{
		admin off
	}
	:80 {
		respond "ok"
	}
	EOF
