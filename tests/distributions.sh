#!/usr/bin/env bash
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
where=${TENON_CHROOTS:-/var/tmp/tenon-chroots}
mirror=${TENON_MIRROR:-http://deb.debian.org/debian}
logs=$top/build/logs
mkdir -p "$where/downloads" "$logs"
failed=0
root=

unmount() {
	local at
	[ -n "$root" ] || return
	for at in dev/shm dev/pts dev sys proc; do
		mountpoint -q "$root/$at" && umount -l "$root/$at"
	done
}
remove() {
	unmount
	[ -z "$root" ] || [ -n "$keep" ] || rm -rf --one-file-system "$root"
	root=
}
trap remove EXIT

make_root() { # RELEASE
	root=$(mktemp -d "$where/$1-XXXXXX") || return
	chmod 755 "$root"
	debootstrap --variant=minbase --cache-dir="$where/downloads" --include=ca-certificates,make,git \
		"$1" "$root" "$mirror" >"$logs/debootstrap-$1.log" 2>&1 || return
	mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --make-rslave "$root/sys" &&
		mount --bind /dev "$root/dev" && mount -t devpts devpts "$root/dev/pts" &&
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" || return
	chroot "$root" useradd -m -s /bin/bash tenon
}

# RELEASE USER: a fresh clone in the user's home.
clone() {
	local home=/root
	[ "$2" = root ] || home=/home/tenon
	rm -rf "$root$home/tenon"
	git clone -q "$top" "$root$home/tenon" || return
	[ "$2" = root ] || chown -R --reference="$root$home" "$root$home/tenon"
}

as() { # USER COMMAND
	case $1 in
	root) chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		bash -c "cd && $2" ;;
	user) chroot "$root" su - tenon -c "$2" ;;
	esac
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
