#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A server of a volume group on a mirror is killed at any moment, under writes and changes, and started again.
# Each written piece is flushed before it is noted, so what was noted must be there; at last the members are equal
# and mdadm and pvck find nothing. TORTURE=1: many more times.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
IO=$(realpath build/tests/helpers/block_io 2>/dev/null) || { echo "block_io is not built"; exit 77; }
PATH=$PATH:/usr/sbin:/sbin
command -v mdadm >/dev/null || { echo "mdadm is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
server=
writer=
cleanup() {
	for pid in $server $writer; do kill -9 "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/devices
failures=0
rounds=${ROUNDS:-3}
[ -z "${TORTURE-}" ] || rounds=150
problem() { echo "FAILED in round $round of $kind: $*"; failures=$((failures + 1)); }

start() {
	rm -f out # the last one's may say "ready" until the shell has truncated it
	"$TENON" serve --socket-dir s >out 2>err &
	server=$!
	for _ in $(seq 3000); do
		grep -qs ^ready out && return
		kill -0 $server 2>/dev/null || break
		sleep 0.02
	done
	problem "the server does not start: $(cat err)"
	exit 1
}

# Piece after piece of 64 KiB, each with the number of its round: what is noted was flushed.
write_pieces() {
	local piece
	for ((;;)); do
		piece=$((RANDOM % 128))
		echo "$piece $1" >>begun
		"$IO" vhost-user:s/vg-l.sock write $((piece * 65536)) 64K "$1" flush 2>/dev/null || return
		echo "$piece $1" >>flushed
	done
}

# What was flushed last is there. Of the piece that was on its way when the server was killed nothing is known.
verify() {
	local piece seed cut
	cut=$(tail -n 1 begun | cut -d ' ' -f 1)
	[ "$(tail -n 1 begun)" = "$(tail -n 1 flushed)" ] || [ -z "$cut" ] || sed -i "/^$cut /d" flushed
	for piece in $(cut -d ' ' -f 1 flushed | sort -u); do
		seed=$(grep "^$piece " flushed | tail -n 1 | cut -d ' ' -f 2)
		"$IO" vhost-user:s/vg-l.sock verify $((piece * 65536)) 64K "$seed" || problem "piece $piece is not what was flushed in round $seed"
	done
}

changes=('lv create vg/n --size 4M' 'lv rename vg/n m' 'lv resize vg/m --size 8M' 'lv remove vg/m' 'raid fail r b.img'
	'raid remove r b.img' 'raid add r b.img' 'raid check r' 'raid rebuild r' 'raid fail r a.img' 'raid remove r a.img'
	'raid add r a.img' 'lv remove vg/n' 'lv create vg/m --size 4M')
meddle() {
	local i
	for ((i = 0; ; i++)); do
		timeout 10 "$TENON" ${changes[RANDOM % ${#changes[@]}]} >/dev/null 2>&1
	done
}

# A moment, after something was written in this round.
some_time() {
	local had=$1 i
	for ((i = 0; i < 3000 && $(wc -l <flushed) == had; i++)); do sleep 0.02; done
	sleep 0.$((RANDOM % 8))$((RANDOM % 10))
}

play() {
	kind="$*"
	round=0
	rm -f ./*.img begun flushed
	truncate -s 32M a.img b.img c.img
	unset TENON_DEVICES
	"$TENON" raid create r --level 1 "$@" || problem create
	export TENON_DEVICES=$work/a.img:$work/b.img
	case $* in *c.img*) TENON_DEVICES+=:$work/c.img ;; esac
	"$TENON" vg create vg md/r && "$TENON" lv create vg/l --size 8M || problem 'a group and a volume'
	touch begun flushed
	for ((round = 1; round <= rounds && !failures; round++)); do
		start
		verify
		had=$(wc -l <flushed)
		write_pieces $round &
		writer=$!
		meddle &
		meddler=$!
		some_time "$had"
		kill -9 $server
		wait $server 2>/dev/null
		kill -9 $meddler
		wait $writer $meddler 2>/dev/null
		server= writer=
	done
	[ $failures = 0 ] || return
	[ "$(wc -l <flushed)" -gt $rounds ] || problem 'hardly anything was written'
	for member in a b; do
		"$TENON" raid remove r $member.img >/dev/null 2>&1
		"$TENON" raid add r $member.img >/dev/null 2>&1
	done
	"$TENON" raid rebuild r >/dev/null || problem rebuild
	"$TENON" raid list --test >list || problem "$(cat list)"
	"$TENON" raid check r >/dev/null || problem 'the members differ'
	for member in ${TENON_DEVICES//:/ }; do
		mdadm --examine "$member" | grep -q 'Checksum : [0-9a-f]* - correct' || problem "mdadm rejects $member"
	done
	"$TENON" copy md/r r.raw 2>/dev/null || problem copy
	! command -v pvck >/dev/null || pvck --dump metadata r.raw >/dev/null 2>pvck || problem "pvck: $(cat pvck)"
	rm -f r.raw
}

# The volume is on its way from one device to the other, back, or undone.
move_about() {
	while :; do
		"$TENON" pv move d.img --rate 24M >>moves 2>&1
		[ $((RANDOM % 3)) != 0 ] || "$TENON" lv move vg/l --abort >>moves 2>&1
		"$TENON" pv move e.img --rate 24M --no-wait >>moves 2>&1
		sleep 0.2
	done
}

play_move() {
	local half=0
	kind=moves
	round=0
	rm -f ./*.img begun flushed moves
	truncate -s 32M d.img e.img
	export TENON_DEVICES=$work/d.img:$work/e.img
	"$TENON" vg create vg d.img e.img --extent-size 1M && "$TENON" lv create vg/l --size 8M d.img || problem 'a group and a volume'
	touch begun flushed
	for ((round = 1; (round <= 2 * rounds || (half == 0 && round < 50)) && !failures; round++)); do
		start
		verify
		had=$(wc -l <flushed)
		write_pieces $round &
		writer=$!
		move_about &
		meddler=$!
		some_time "$had"
		kill -9 $server
		wait $server 2>/dev/null
		kill -9 $meddler
		wait $writer $meddler 2>/dev/null
		server= writer=
		"$TENON" lv list --all | grep -q pvmove && half=$((half + 1))
	done
	[ $failures = 0 ] || return
	[ $half -gt 0 ] || problem "no kill was in the middle of a move: $(cat moves)"
	# What is half done goes on by itself.
	start
	for ((i = 0; ; i++)); do
		"$TENON" lv list --all | grep -q pvmove || break
		[ $i -lt 600 ] || { problem 'the move does not end'; break; }
		sleep 0.1
	done
	verify
	kill $server
	wait $server || problem "the server ended with $?"
	server=
	! command -v pvck >/dev/null || pvck --dump metadata d.img >/dev/null 2>pvck || problem "pvck: $(cat pvck)"
	echo "$half of $((round - 1)) kills were in the middle of a move"
}

play --bitmap internal a.img b.img
play --bitmap none a.img b.img
play --bitmap internal a.img b.img c.img
play --bitmap internal a.img b.img --spare c.img
play_move
[ $failures = 0 ] && echo "all as expected: $((6 * rounds)) kills"
