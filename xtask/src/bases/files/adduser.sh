#!/bin/sh
# adduser as busybox has it, for an image that stands in for an Alpine one:
#   adduser [-h DIR] [-g GECOS] [-s SHELL] [-G GROUP] [-S] [-D] [-H] [-u UID] USER
# It never asks for a password: the account has none.
set -eu
die() {
	echo "adduser: $*" >&2
	exit 1
}
uid='' gecos='' home='' shell=/bin/sh group='' system='' make_home=1 first=1000 last=59999 user=''
while [ $# -gt 0 ]; do
	case "$1" in
	-h | --home) home=$2 && shift ;;
	-g | --gecos) gecos=$2 && shift ;;
	-s | --shell) shell=$2 && shift ;;
	-G | --ingroup) group=$2 && shift ;;
	-u | --uid) uid=$2 && shift ;;
	-S | --system) system=1 first=100 last=999 shell=/sbin/nologin ;;
	-SD | -DS) system=1 first=100 last=999 shell=/sbin/nologin ;;
	-D | --disabled-password) ;;
	-H | --no-create-home) make_home='' ;;
	-*) die "unknown option $1" ;;
	*) user=$1 ;;
	esac
	shift
done
[ -n "$user" ] || die "a user is needed"
! grep -q "^$user:" /etc/passwd || die "user '$user' in use"
if [ -z "$uid" ]; then
	uid=$first
	while cut -d: -f3 /etc/passwd | grep -qx "$uid"; do uid=$((uid + 1)); done
	[ "$uid" -le "$last" ] || die "no user ids left"
elif cut -d: -f3 /etc/passwd | grep -qx "$uid"; then
	die "uid '$uid' in use"
fi
# A system account belongs to nogroup, any other to a group of its own name.
if [ -z "$group" ]; then
	if [ -n "$system" ]; then
		group=nogroup
	else
		group=$user
		grep -q "^$group:" /etc/group || addgroup -g "$uid" "$group"
	fi
fi
gid=$(grep "^$group:" /etc/group | cut -d: -f3)
[ -n "$gid" ] || die "unknown group $group"
home=${home:-/home/$user}
echo "$user:x:$uid:$gid:${gecos:-$user}:$home:$shell" >>/etc/passwd
echo "$user:!:20089:0:99999:7:::" >>/etc/shadow
if [ -n "$make_home" ] && [ ! -e "$home" ]; then
	mkdir -p "$home"
	chown "$uid:$gid" "$home"
fi
