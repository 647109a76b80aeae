#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The two commands as a new user has them: in clean Debian chroots, from a fresh clone of what is committed, as root
# and as an ordinary user who has had the one apt line run for him.
#
#	tests/distributions.sh [RELEASE...] [--only demo|check] [--as root|user] [--keep]
#
# RELEASE: bookworm (12), trixie (13); both. Root only. The chroots are made anew in TENON_CHROOTS (default: below
# /var/tmp) and removed at the end; what was downloaded is kept beside them. Logs are in build/logs.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$(pwd)
releases=() commands="demo check" users="root user" keep=
while [ $# -gt 0 ]; do
	case $1 in
	--only) commands=$2; shift ;;
	--as) users=$2; shift ;;
	--keep) keep=1 ;;
	*) releases+=("$1") ;;
	esac
	shift
done
[ ${#releases[@]} -gt 0 ] || releases=(bookworm trixie)
[ "$(id -u)" = 0 ] || { echo "needs root, for debootstrap and chroot" >&2; exit 1; }
tests/deps debootstrap git || exit 1
commit=$(git rev-parse HEAD) || exit 1 # of all runs, whatever is committed meanwhile
where=${TENON_CHROOTS:-/var/tmp/tenon-chroots}
mirror=${TENON_MIRROR:-http://deb.debian.org/debian}
logs=$top/build/logs
mkdir -p "$where/downloads" "$logs"
failed=0
root=

remove() {
	[ -z "$root" ] || [ -n "$keep" ] || rm -rf --one-file-system "$root"
	root=
}
trap remove EXIT

make_root() { # RELEASE
	root=$(mktemp -d "$where/$1-XXXXXX") || return
	chmod 755 "$root"
	debootstrap --variant=minbase --cache-dir="$where/downloads" --include=ca-certificates,make,git \
		"$1" "$root" "$mirror" >"$logs/debootstrap-$1.log" 2>&1 || return
	chroot "$root" useradd -m -s /bin/bash tenon
}

# RELEASE USER: a fresh clone in the user's home.
clone() {
	local home=/root
	[ "$2" = root ] || home=/home/tenon
	rm -rf "$root$home/tenon"
	git clone -q --no-checkout "$top" "$root$home/tenon" && git -C "$root$home/tenon" checkout -q "$commit" || return
	[ "$2" = root ] || chown -R --reference="$root$home" "$root$home/tenon"
}

# USER COMMAND: in there, with a new root rather than chroot(2), in which nobody may make namespaces. Mounts and
# processes go with it.
as() {
	local run
	case $1 in
	root) run="env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c" ;;
	user) run="su - tenon -c" ;;
	esac
	unshare --mount --pid --fork --kill-child --propagation private bash -c '
		root=$1 run=$2 command=$3
		mount --bind "$root" "$root" && cd "$root" && mkdir -p .host &&
			mount --rbind /sys sys && mount --rbind /dev dev && mount -t proc proc proc &&
			mount -t tmpfs -o mode=1777 tmpfs dev/shm &&
			pivot_root . .host && umount -l /.host && rmdir /.host && cd / || exit 125
		$run "$command" # not exec: process 1 reaps what others leave
		exit' _ "$root" "$run" "cd; $2"
}

for release in "${releases[@]}"; do
	for user in $users; do
		make_root "$release" || { echo "$release: cannot be made; see $logs/debootstrap-$release.log"; exit 1; }
		if [ "$user" = user ]; then
			# What it tells him to have run.
			clone "$release" user
			as user 'cd tenon && make deps' >"$logs/$release-user-deps.log" 2>&1
			line=$(grep -o 'apt-get .*' "$logs/$release-user-deps.log" | head -n 1)
			as root "$line" >>"$logs/$release-user-deps.log" 2>&1 ||
				{ echo "$release: the apt line fails; see $logs/$release-user-deps.log"; failed=1; }
		fi
		for command in $commands; do
			clone "$release" "$user"
			log=$logs/$release-$user-$command.log
			start=$(date +%s)
			as "$user" "cd tenon && make $command" >"$log" 2>&1 </dev/null
			rc=$?
			echo "$release, $user, make $command: status $rc, $(($(date +%s) - start)) s: $(tail -n 1 "$log")"
			[ $rc = 0 ] || failed=1
		done
		remove
	done
done
exit $failed
