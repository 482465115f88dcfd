#!/bin/sh
# addgroup as busybox has it, for an image that stands in for an Alpine one:
#   addgroup [-g GID] [-S] GROUP      makes a group
#   addgroup USER GROUP               adds a user to a group
set -eu
die() {
	echo "addgroup: $*" >&2
	exit 1
}
gid='' first=1000 last=59999 user='' group=''
while [ $# -gt 0 ]; do
	case "$1" in
	-g | --gid) gid=$2 && shift ;;
	-S | --system) first=100 last=999 ;;
	-*) die "unknown option $1" ;;
	*) user=$group group=$1 ;;
	esac
	shift
done
[ -n "$group" ] || die "a group is needed"
if [ -n "$user" ]; then
	grep -q "^$user:" /etc/passwd || die "unknown user $user"
	grep -q "^$group:" /etc/group || die "unknown group $group"
	sed -i "/^$group:/ { s/\$/,$user/; s/:,/:/ }" /etc/group
	exit 0
fi
! grep -q "^$group:" /etc/group || die "group '$group' in use"
if [ -z "$gid" ]; then
	gid=$first
	while cut -d: -f3 /etc/group | grep -qx "$gid"; do gid=$((gid + 1)); done
	[ "$gid" -le "$last" ] || die "no group ids left"
elif cut -d: -f3 /etc/group | grep -qx "$gid"; then
	die "gid '$gid' in use"
fi
echo "$group:x:$gid:" >>/etc/group
