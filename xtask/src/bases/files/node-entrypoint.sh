#!/bin/sh
# Whatever is no program by itself (an option, a script without the execute bit) is node's argument.
set -e
case "$1" in
-*) set -- node "$@" ;;
*)
	if [ $# -gt 0 ] && { ! command -v -- "$1" >/dev/null || { [ -f "$1" ] && [ ! -x "$1" ]; }; }; then
		set -- node "$@"
	fi
	;;
esac
exec "$@"
