#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# README's "Five minutes", letter by letter, in one shell: as it is read from the file, each command must succeed, for
# root and for an ordinary user. Where this host's KVM does not run Linux, `tenon vm run` is QEMU without KVM, given the same
# files and sockets (tour_vm); without that the machine's block is left out, with the reason.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
# An ordinary user's PATH; what else the tour needs, its first lines must say.
PATH=/usr/local/bin:/usr/bin:/bin
for program in mke2fs debugfs mdadm pvck; do
	[ -n "$(PATH=$PATH:/usr/sbin command -v $program)" ] || { echo "$program is not installed"; exit 77; }
done
[ -x /bin/busybox ] || { echo "busybox-static is not installed"; exit 77; }
kernel=$(ls -v /boot/vmlinuz-* 2>/dev/null | tail -n 1)
[ -r "$kernel" ] || { echo "there is no kernel in /boot, or it may not be read"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
problem() { echo "FAILED, as $who: $*"; failures=$((failures + 1)); }

# Why the machine cannot be run by KVM here; nothing if it can.
lacking() {
	local kvm
	kvm=$("$TENON" host check | grep -E '^kvm ') || { echo "host check says nothing of KVM"; return; }
	case $kvm in *'too slow'* | *cannot*) echo "$kvm" ;; *yes*) ;; *) echo "$kvm" ;; esac
}
reason=$(lacking) skip=
if [ -n "$reason" ]; then
	command -v qemu-system-x86_64 >/dev/null || skip=1
	echo "the machine is ${skip:+left out}${skip:-run by QEMU without KVM}: $reason" | sed 's/left out1/left out/'
fi

# The commands: indented lines of the chapter. `make` would build the tree that the test runs in: it has been built.
sed -n '/^## Five minutes/,/^## /p' README.md | awk -v skip="$skip" '
	/^<!-- tour: needs / { marked = 1; next }
	/^    / { if (!(marked && skip)) print substr($0, 5); if (marked) inside = 1; next }
	/^./ { if (inside) marked = inside = 0 }' >"$work/commands"
[ "$(grep -c '^tenon ' "$work/commands")" -ge $((18 - ${skip:-0})) ] || { echo "README's tour is not found"; exit 1; }

# tour WHO COMMAND...: in a folder of its own, which is WHO's.
tour() {
	local place=$work/$1 rc typist keys
	who=$1
	shift
	mkdir -p "$place/tree/build" && echo 'all:' >"$place/tree/Makefile" && cp "$TENON" "$place/tenon" || exit 1
	if [ -n "$reason" ]; then
		cp tests/interop/tour_vm "$place/tree/build/tenon"
	else
		ln -s "$place/tenon" "$place/tree/build/tenon"
	fi
	mkfifo "$place/keys" && exec {keys}<>"$place/keys" || exit 1
	: >"$place/out"
	# Whoever follows the tour types this at the guest's prompt.
	(
		until grep -aq 'ends the machine' "$place/out" 2>/dev/null; do sleep 0.5; done
		sleep 1
		printf 'mount\nip addr\npoweroff\n' >&$keys
	) &
	typist=$!
	{
		echo "trap 'echo \"FAILED: \$BASH_COMMAND\"; kill \$(jobs -p) 2>/dev/null; exit 1' ERR"
		echo 'set -m -o pipefail'
		echo "cd $place/tree"
		cat "$work/commands"
	} >"$place/script"
	[ "$who" = user ] && chown -R 4712:4712 "$place"
	timeout 850 "$@" bash "$place/script" >"$place/out" 2>&1 <&$keys
	rc=$?
	exec {keys}>&-
	kill $typist 2>/dev/null
	wait $typist 2>/dev/null
	[ $rc = 0 ] || problem "the tour ended with $rc"
	expect '^md/r0: recovery of .* is done'
	expect '/c\.img .*(spare|rebuilding|recovering)'
	expect '/c\.img .*in sync'
	expect '^root.* 600 MiB .*sockets/vg0-root\.sock'
	expect 'Raid Level : raid1'
	expect 'vgname vg0'
	if [ -z "$skip" ]; then
		expect '/dev/vda on / type ext4'
		expect 'eth0: .*UP'
	fi
	[ ! -e "$place/tree/tour" ] || problem "the tour left its directory"
	[ "$(cd "$place/tree" && find . -type f -o -type l | sort | tr '\n' ' ')" = './Makefile ./build/tenon ' ] ||
		problem "the tour left files: $(ls -R "$place/tree")"
}
expect() { grep -Eaq -- "$1" "$work/$who/out" || problem "the tour did not say: $1"; }

before=$failures
if [ "$(id -u)" = 0 ]; then
	tour root env -i HOME="$work/root" PATH=$PATH TERM=dumb TENON_RUNTIME_DIR="$work/run"
	[ $failures = $before ] || { echo "the tour said:"; cat -v "$work/root/out"; }
	before=$failures
	chmod 755 "$work"
	as=(setpriv --reuid 4712 --regid 4712 --clear-groups env -i)
else
	as=(env -i)
fi
# With nothing in the environment, as after su: the runtime directory is in /tmp.
tour user "${as[@]}" HOME="$work/user" PATH=$PATH TERM=dumb
[ $failures = $before ] || { echo "the tour said:"; cat -v "$work/user/out"; }
[ "$(id -u)" != 0 ] || rm -rf /tmp/tenon-4712
[ $failures = 0 ] || exit 1
echo "tour: README's commands did what README says"
