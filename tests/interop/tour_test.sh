#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# README's "Five minutes", letter by letter, in one shell: as it is read from the file, each command must succeed.
# A block behind a line "<!-- tour: needs ... -->" is left out where the host lacks that, with the reason.
# timeout: 300
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
# An ordinary user's PATH; what else the tour needs, its first lines must say.
PATH=/usr/local/bin:/usr/bin:/bin
for program in mke2fs mdadm pvck; do
	[ -n "$(PATH=$PATH:/usr/sbin command -v $program)" ] || { echo "$program is not installed"; exit 77; }
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Why the machine cannot be run here; nothing if it can.
lacking() {
	local kvm
	kvm=$("$TENON" host check | grep '^kvm ') || { echo "host check says nothing of KVM"; return; }
	case $kvm in *' yes '*) ;; *) echo "$kvm"; return ;; esac
	case $kvm in *'too slow'*) echo "$kvm"; return ;; esac
	compgen -G '/boot/vmlinuz-*-amd64' >/dev/null || echo "there is no kernel in /boot"
}
reason=$(lacking)

# The commands: indented lines of the chapter. `make` would build the tree that the test runs in: it has been built.
sed -n '/^## Five minutes/,/^## /p' README.md | awk -v skip="${reason:+1}" '
	/^<!-- tour: needs / { marked = 1; next }
	/^    / { if (!(marked && skip)) print substr($0, 5); if (marked) inside = 1; next }
	/^./ { if (inside) marked = inside = 0 }' >"$work/commands"
[ "$(grep -c '^tenon ' "$work/commands")" -ge 15 ] || { echo "README's tour is not found"; exit 1; }
[ -z "$reason" ] || echo "left out: the machine: $reason"

# The tree as the tour expects it: build/tenon below the directory in which it starts.
mkdir -p "$work/tree/build" && ln -s "$TENON" "$work/tree/build/tenon" && echo 'all:' >"$work/tree/Makefile" || exit 1
cd "$work/tree" || exit 1
export TENON_RUNTIME_DIR=$work/run
unset TENON_DEVICES
# Whoever follows the tour types this at the prompt of the initial RAM disk.
mkfifo "$work/keys"
(
	until grep -aq '(initramfs)' "$work/out" 2>/dev/null; do sleep 1; done
	echo 'poweroff -f'
) >"$work/keys" &
typist=$!
{
	echo "trap 'echo \"FAILED: \$BASH_COMMAND\"; touch $work/failed; kill \$(jobs -p) 2>/dev/null; exit 1' ERR"
	echo 'set -m -o pipefail'
	cat "$work/commands"
} >"$work/script"
timeout 250 bash "$work/script" >"$work/out" 2>&1 <"$work/keys"
rc=$?
kill $typist 2>/dev/null
wait $typist 2>/dev/null

failures=0
problem() { echo "FAILED: $*"; failures=$((failures + 1)); }
[ $rc = 0 ] || problem "the tour ended with $rc"
expect() { grep -Eaq -- "$1" "$work/out" || problem "the tour did not say: $1"; }
expect '^md/r0: recovery of .* is done'
expect '/c\.img +1 +in sync'
expect '^root +vg0 +writable +600 MiB .*/sockets/vg0-root\.sock +-$'
expect 'Raid Level : raid1'
expect 'vgname vg0'
[ -n "$reason" ] || expect '\(initramfs\)'
[ ! -e tour ] || problem "the tour left its directory"
[ $failures = 0 ] || { echo "$failures failed; the tour said:"; cat -v "$work/out"; exit 1; }
echo "tour: README's commands did what README says"
