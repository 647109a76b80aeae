#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Members that cannot be opened, that ran apart, that become shorter under a server, that run full during a command:
# nothing is lost without a word. And what a check and --test tell a script.
set -u
. "$(dirname "$0")/lib.sh"
IO=$(realpath build/tests/helpers/block_io 2>/dev/null)
PATH=$PATH:/usr/sbin:/sbin
command -v mdadm >/dev/null || { echo "mdadm is not installed"; exit 77; }
server=
cleanup() {
	[ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"
}
cd "$work" || exit 1
fresh() {
	rm -f ./*.img ./*.away
	truncate -s 32M a.img b.img
	unset TENON_DEVICES
	"$TENON" raid create r --level 1 --bitmap "${1:-none}" a.img b.img || problem create
	export TENON_DEVICES=$work/a.img:$work/b.img
	"$TENON" vg create vg md/r && "$TENON" lv create vg/l --size 12M || problem 'a group and a volume'
}

# ---- A member that is not there ----
fresh
expect 0 clean "$TENON" raid list --test
mv b.img b.away
before=$(stat -c %y a.img)
for command in 'lv create vg/x --size 4M' 'lv remove vg/l' 'vg create new md/r' 'copy /dev/null vg/l' 'raid fail r a.img' \
	'raid rebuild r' 'raid assemble r' 'serve --socket-dir s'; do
	expect 1 '1 of the 2 members that it had' "$TENON" $command
	expect 1 'b.img: opening it' "$TENON" $command
done
[ "$(stat -c %y a.img)" = "$before" ] || problem 'a command that was refused wrote'
expect 3 'degraded' "$TENON" raid list --test
expect 3 'read from the 1 that' "$TENON" raid show r --test
expect 0 '"missing": 1' "$TENON" raid show r --json
expect 0 'read from the 1 that' "$TENON" lv list
mv b.away b.img
expect 0 clean "$TENON" raid show r --test

# ---- Told to, once for each half ----
for side in a b; do
	mv $side.img $side.away
	expect 0 'starts with 1 of 2' "$TENON" lv create vg/$side --size 4M --degraded
	mv $side.away $side.img
done
for order in a.img:b.img b.img:a.img; do
	for command in 'lv create vg/x --size 4M' 'raid show r' 'raid assemble r --degraded' 'raid assemble r --force'; do
		TENON_DEVICES=${order/:/:$PWD/} expect 1 'a.img.*b.img|b.img.*a.img' "$TENON" $command
		TENON_DEVICES=$PWD/${order/:/:$PWD/} expect 1 'each ran without the other' "$TENON" $command
	done
done
expect 1 'it may hold what they do not' "$TENON" raid add r b.img --device a.img
expect 0 added "$TENON" raid add r b.img --device a.img --force
expect 0 '^md/r: ' "$TENON" raid rebuild r
expect 0 clean "$TENON" raid list --test
expect 0 'vg +8 MiB|b +vg|b .*vg' "$TENON" lv list # what a held while b was away

# ---- A check for a script ----
expect 0 '^md/r: 0 bytes differ' "$TENON" raid check r
printf '\1\2\3\4' | dd of=b.img bs=512 seek=$((40000)) conv=notrunc status=none
expect 1 'members differ in 512 bytes' "$TENON" raid check r
expect 1 'bytes 19431424 to 19431935' "$TENON" raid check r
expect 1 'which of the members is wrong there cannot be known' "$TENON" raid check r --repair
expect 1 '512 bytes differ still' "$TENON" raid repair r
expect 1 'members differ in 512 bytes' "$TENON" raid check r
expect 0 'agree now' "$TENON" raid repair r --force
expect 0 '^md/r: 0 bytes differ' "$TENON" raid check r

# ---- What a spare announces is there ----
truncate -s 32M c.img d.img e.img f.img
TENON_DEVICES='' "$TENON" raid create s --level 1 --bitmap internal c.img d.img --spare e.img
for image in e f; do
	[ $image = e ] || "$TENON" raid add s f.img --device c.img --device d.img --device e.img 2>/dev/null || problem add
	expect 0 'Checksum : [0-9a-f]* - correct' mdadm --examine $image.img
	expect 0 'Internal Bitmap' mdadm --examine $image.img
	expect 0 'Bitmap Chunk' "$TENON" raid examine $image.img
done

# ---- Made shorter under a server ----
if [ -n "$IO" ]; then
	fresh internal
	rm -f out
	"$TENON" serve --socket-dir s >out 2>err &
	server=$!
	for _ in $(seq 1200); do grep -q ^ready out && break; sleep 0.05; done
	"$IO" vhost-user:s/vg-l.sock write 0 12M 1 flush || problem 'writing'
	truncate -s 6M a.img
	for m in $(seq 11 -1 0); do
		"$IO" vhost-user:s/vg-l.sock verify ${m}M 1M 1 || problem "wrong data at $m MiB"
	done
	"$IO" vhost-user:s/vg-l.sock write 8M 1M 2 flush || problem 'writing on'
	[ "$(stat -c %s a.img)" = 6291456 ] || problem "a.img was made $(stat -c %s a.img) bytes long"
	expect 3 'must have 33554432 bytes again' "$TENON" raid show r --test
	kill $server && wait $server
	server=
	# Grown back, it is copied whole.
	expect 0 degraded "$TENON" raid assemble r
	truncate -s 32M a.img
	expect 0 added "$TENON" raid add r a.img
	expect 0 '^md/r: ' "$TENON" raid rebuild r
	expect 0 '^md/r: 0 bytes differ' "$TENON" raid check r
fi

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
