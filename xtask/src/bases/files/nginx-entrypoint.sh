#!/bin/sh
# Scripts that an image built on this one has put into /docker-entrypoint.d run first.
set -e
for script in /docker-entrypoint.d/*.sh; do
	[ ! -x "$script" ] || "$script"
done
exec "$@"
