#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers of arrays that lack members are killed at any moment, under writers that flush, and started again: what was flushed is there
# each time. At last md takes what the last kill left, and what tenon makes of it: the same data, no parity that does not fit, and with a log nothing
# left to resync. Levels 5 with a partial parity log, 6 with a journal and without two members, 10 with a bitmap. TORTURE=1: many more times, and
# more of them, also whole ones with a bitmap, and with nothing, while they are checked.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
IO=$TOP/build/tests/helpers/block_io
[ -x "$IO" ] || rig_skip "block_io is not built"
cd "$WORK"
rounds=2
[ -z "${TORTURE:-}" ] || rounds=40
rounds=${ROUNDS:-$rounds}
RANDOM=${SEED:-$$}
CELL=65536 CELLS=192 # of 12 MiB, which the smallest of them has; a piece in each

server= writers= meddler=
trap 'status=$?; set +e; kill -9 $server $writers $meddler 2>/dev/null; (exit $status); rig_end' EXIT
serve() {
	rm -f out # the last one's may say "ready" until the shell has truncated it
	"$TENON" serve md/x --socket-dir s --degraded "${devices[@]}" >out 2>err &
	server=$!
	rig_await 120 eval "grep -qs ^ready out || ! kill -0 $server" && grep -qs ^ready out || { cat err; rig_fail "$name: the server does not start"; }
}

# A piece is somewhere in its cell, across chunks or not, aligned to pages or to sectors: always the same place.
piece() { echo $(($1 * CELL + $1 * 37 % 96 * 512)) $((512 * ($1 * 29 % 2 ? $1 * 13 % 32 + 1 : 8 * ($1 * 13 % 4 + 1)))); }

# Some pieces of its half of the cells and a flush, again and again, each with its own number: what is noted was flushed.
write_pieces() {
	local first=$1 seed=$2 words cells cell
	RANDOM=$((seed * 7 + first))
	while :; do
		seed=$((seed + 1)) words=() cells=
		for cell in $((RANDOM % (CELLS / 2) + first)) $((RANDOM % (CELLS / 2) + first)) $((RANDOM % (CELLS / 2) + first)); do
			words+=(write $(piece $cell) $seed)
			cells+=" $cell"
		done
		echo "begun $seed$cells" >>"noted.$first"
		"$IO" vhost-user:s/md-x.sock "${words[@]}" flush 2>/dev/null || return 0
		echo "flushed $seed$cells" >>"noted.$first"
	done
}

# A line for each piece that is known: its cell and what was flushed last. Of what was on its way when a server was killed nothing is known.
known() {
	awk '$1 == "begun" { for (i = 3; i <= NF; i++) delete seed[$i] } $1 == "flushed" { for (i = 3; i <= NF; i++) seed[$i] = $2 }
		END { for (cell in seed) print cell, seed[cell] }' noted.*
}

verify() { # OF WHAT
	local words=() cell seed
	while read -r cell seed; do words+=(verify $(piece $cell) $seed); done < <(known)
	[ ${#words[@]} = 0 ] || "$IO" $1 "${words[@]}" 2>said || { cat said; rig_fail "$name, round $round: $2 is not what was flushed"; }
	verified=$((verified + ${#words[@]} / 4))
}

verified=0 names=()
# play NAME "MEMBERS" "AWAY" CREATE...: members that are missing come back at the end.
play() {
	local members=$2 away=$3 delay
	name=$1 round=0 devices=()
	shift 3
	mkdir $name
	cd $name
	for disk in $members; do
		truncate -s 9M $disk
		devices+=(--device $disk)
	done
	for disk in $away; do truncate -s 9M $disk; done
	"$TENON" raid create x "$@" >/dev/null 2>err || { cat err; rig_fail "$name: creating"; }
	touch noted.0
	for ((round = 1; round <= rounds; round++)); do
		serve
		verify vhost-user:s/md-x.sock 'the disk'
		write_pieces 0 $((round * 100000)) & writers=$!
		write_pieces $((CELLS / 2)) $((round * 100000)) & writers+=" $!"
		meddler=
		[ -n "$away" ] || { while :; do "$TENON" raid check x >/dev/null 2>&1 || :; done & meddler=$!; }
		# At least one write is through.
		rig_await 60 grep -q "^flushed $round" noted.0
		delay=$((RANDOM % 90))
		sleep 0.$((delay / 10))$((delay % 10))
		[ -z "$meddler" ] || kill -9 $meddler
		kill -9 $server
		wait $server $meddler 2>/dev/null || :
		wait $writers
		server= writers= meddler=
	done
	mkdir killed
	for disk in $members; do cp --sparse=always $disk killed; done
	serve
	verify vhost-user:s/md-x.sock 'the disk'
	for disk in $away; do "$TENON" raid add x $disk >/dev/null 2>err || { cat err; rig_fail "$name: adding $disk"; }; done
	"$TENON" raid rebuild x >/dev/null 2>err || { cat err; rig_fail "$name: filling $away"; }
	verify vhost-user:s/md-x.sock "the disk with $away filled"
	kill $server
	wait $server || rig_fail "$name: the server ended with $?"
	server=
	rm -r s
	cd ..
	names+=($name)
}

play ppl 'a b c' d --level 5 --chunk 16K --consistency ppl --assume-clean a b c missing
play journal 'a c d j' 'b e' --level 6 --chunk 16K --consistency journal --journal j --assume-clean a missing c d missing
play ten 'a c d' b --level 10 --chunk 16K --consistency bitmap --assume-clean a missing c d
if [ -n "${TORTURE:-}" ]; then
	play bitmap 'a b c' '' --level 5 --chunk 16K --consistency bitmap a b c
	play resync 'a b c d e' '' --level 6 --chunk 16K --consistency resync a b c d e
	play far 'a b c' d --level 10 --layout f2 --chunk 16K --consistency bitmap --assume-clean a b c missing
	play five 'a b d j' c --level 5 --chunk 64K --consistency journal --journal j --assume-clean a b missing d
	play whole 'a b c' '' --level 5 --chunk 64K --consistency ppl a b c
fi

# md, of each set: whether it has to resync, its mismatches, members that are missing; and its data. A guest takes 15 disks.
judge_sets() {
	local name label
	rig_boot uml --name judge "${disks[@]}" --file "$WORK/sets:/sets" --result-size 160M --memory 512M --with mdadm --modules 'raid456 raid10' \
		--script - <<'GUEST'
	set -e
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	md=/sys/block/md0/md
	idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
	while read -r name label devices; do
		eval "mdadm --assemble --run /dev/md0 $devices" 2>&1
		resync=$(cat $md/resync_start)
		idle
		mismatches=-
		if [ $(cat $md/degraded) = 0 ]; then
			echo check >$md/sync_action
			idle
			mismatches=$(cat $md/mismatch_cnt)
		fi
		echo "$name $label $resync $mismatches $(cat $md/degraded)" >>/result/judged
		cat /dev/md0 >/result/$name.$label
		mdadm --stop /dev/md0
	done </sets
GUEST
	cat "$(rig_results judge)/judged" | tee -a judged
	while read -r name label _; do
		cd $name
		verify "$(rig_results judge)/$name.$label" "what md has of it, $label"
		cd ..
	done <sets
	: >sets
	disks=() count=0
}
disks=() count=0
for name in "${names[@]}"; do
	for label in killed whole; do
		members=("$name"/[a-j])
		[ $label = whole ] || members=("$name"/killed/*)
		[ $((count + ${#members[@]})) -le 15 ] || judge_sets
		printf '%s %s' $name $label >>sets
		for disk in "${members[@]}"; do
			printf ' $DISK%d' $count >>sets
			disks+=(--disk $disk)
			count=$((count + 1))
		done
		echo >>sets
	done
done
judge_sets
# Whoever has a log, and whoever is whole again, has nothing to resync; parity fits everywhere.
awk '$3 != "none" && ($1 !~ /^(bitmap|resync|ten|far)$/ || $2 != "killed") || $4 != 0 && ($2 == "whole" || $4 != "-") || $2 == "whole" && $5 != 0' judged >wrong
[ ! -s wrong ] || { cat wrong; rig_fail "md says otherwise"; }
echo "$((rounds * ${#names[@]})) kills, $verified pieces verified"
