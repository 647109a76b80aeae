#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The archive lies on a file system that hangs, deaf to signals: changes are made all the same, and told of; the server ends in time, and
# with it all that it holds. What hangs has nothing of it.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
[ "$(id -u)" = 0 ] || { echo 'it wants root: a file system is mounted and frozen'; exit 77; }
command -v fsfreeze >/dev/null || { echo 'fsfreeze is not installed'; exit 77; }
work=$(mktemp -d) || exit 1
server=
cleanup() {
	fsfreeze -u "$work/mnt" 2>/dev/null
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null
	wait
	umount "$work/mnt" 2>/dev/null || umount -l "$work/mnt" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export LC_ALL=C TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/mnt/state TENON_DEVICES=$work/a.img TENON_DEVICES_FILE=$work/none
unset TENON_ARCHIVE
fail() { echo "FAILED: $*"; exit 1; }
serve() {
	rm -f log # what the last one said is there until the shell has truncated it
	"$TENON" serve vg0 --socket-dir sockets >log 2>&1 &
	server=$!
	for _ in $(seq 600); do ! grep -qs ^ready log || return 0; sleep 0.1; done
	fail "no server: $(cat log)"
}
# Those of the server that look aside and wait.
hanging() { for task in /proc/[0-9]*/stat; do awk -v parent="$1" '/\(tenon-look\)/ && $4 == parent { print $1 }' "$task" 2>/dev/null; done; }

truncate -s 64M a.img
truncate -s 32M below.img
mkdir mnt
mkfs.ext4 -q -F below.img && mount -o loop below.img mnt 2>said || { echo "no file system is mounted here: $(cat said)"; exit 77; }
"$TENON" vg create vg0 a.img >/dev/null || fail 'a group'
serve
"$TENON" lv create vg0/one --size 4M || fail 'a volume'
fsfreeze -f mnt || { echo 'the file system cannot be frozen'; exit 77; }
timeout 300 "$TENON" lv create vg0/two --size 4M 2>said || fail "a change beside an archive that hangs: $(cat said)"
for when in before after; do
	grep -q "mnt/state: the metadata $when this change was not kept: it does not answer" said || fail "it is not told: $(cat said)"
done
hung=$(hanging $server)
[ "$(wc -w <<<"$hung")" = 2 ] || fail "what hangs: $hung"
for pid in $hung; do
	[ "$(readlink /proc/"$pid"/fd/* | sort -u)" = /dev/null ] || fail "it has $(readlink /proc/"$pid"/fd/*)"
done
kill $server
for _ in $(seq 600); do kill -0 $server 2>/dev/null || break; sleep 0.1; done
kill -0 $server 2>/dev/null && fail 'the server hangs, too'
wait $server || fail "the server ended with $?"
serve
"$TENON" lv list | grep -q two || fail "what was changed is lost"
kill -9 $server
wait $server 2>/dev/null
server=
# What hung changes nothing when it comes back.
fsfreeze -u mnt
for pid in $hung; do
	for _ in $(seq 600); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
done
grep -q 'lv create vg0/two' mnt/state/*/* && fail 'one that was left alone has kept something after all'
serve
"$TENON" lv create vg0/three --size 4M 2>said || fail "afterwards: $(cat said)"
grep -q 'lv create vg0/three' mnt/state/backup/vg0_* || fail "afterwards nothing is kept"
kill $server
wait $server
server=
exit 0
