#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Replacing a member, both ways: what md left in the middle of it, stopped or cut off, tenon reads, also without any one member, and carries on; what
# tenon left md carries on; what either finished the other takes.
#
# What was cut off needs a resync, too, and Linux 6.12 does that first (6.1 does it last). Its RAID10 then writes to the replacement with an
# error in the request from the start, and fails it for that (raid10_sync_request() presets bi_status, and only the bios of members are
# reset): the member that was being replaced stays, and nothing is lost. So after a cut md is to do with ours what it does with its own.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
rig_known_data known 64
digest_of() { md5sum | cut -d ' ' -f 1; }
read_of() { "$TOOL" assemble -r "$@" -- cat 2>>log | digest_of; }
failed=0
same() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; failed=1; }; }

# NAME LEVEL MEMBERS BITMAP; one disk more is the new one, and the member that is replaced is .1.
CASES='r1 1 2 64K
r10 10 3 none
r6 6 4 none'
members() { echo "$1/$2".[0-9]; }
last_of() { awk -v n="$1" '$1 == n { print $3 }' <<<"$CASES"; }
make_disks() {
	local i
	mkdir -p "$1"
	for i in $(seq 0 "$(last_of "$2")"); do truncate -s 12M "$1/$2.$i"; done
}

# DIR: runs the commands on standard input for each case: $name $level $count $bitmap, its disks are $@, the last one is $new. CUT: the guest is
# killed once they have said that all is done.
in_guest() {
	local dir=$1 cut=${2-} commands number=0 name level count bitmap i disks=()
	commands=$(cat)
	{
		cat <<'GUEST'
		set -e
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
		array() { dev=/dev/md$1; md=/sys/block/md$1/md; }
		array 0
		note() { echo "$name $1 $(md5sum <$dev | cut -d " " -f 1)" >>/result/digests; }
		stop() { mdadm --wait-clean $dev || :; mdadm --stop $dev 2>&1; }
		judge() {
			echo check >$md/sync_action; idle
			echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches
		}
		for disk in $DISKS; do known=$disk; done
GUEST
		while read -r name level count bitmap; do
			printf 'name=%s level=%s count=%s bitmap=%s\nset --' "$name" "$level" "$count" "$bitmap"
			for i in $(seq 0 "$count"); do
				printf ' $DISK%d' $number
				disks+=(--disk "$dir/$name.$i")
				number=$((number + 1))
			done
			printf '\nfor new; do :; done\n%s\n' "$commands"
		done <<<"$CASES"
		[ -z "$cut" ] || echo 'echo "all is done"; sleep 600'
	} >script
	rig_start uml --name "$dir.guest" "${disks[@]}" --disk known:ro --with mdadm --modules "raid1 raid10 raid456" \
		--memory 384M --script script
	[ -n "$cut" ] || { rig_wait; return; }
	rig_await 100 grep -q "^all is done" "$(rig_console "$dir.guest")" || return
	{ rig_stop "$dir.guest"; } 2>/dev/null
}

# ---- md leaves it in the middle; stopped, or cut off ----
for dir in theirs theirs-cut; do
	while read -r name _; do make_disks $dir "$name"; done <<<"$CASES"
	cut=
	[ $dir = theirs ] || cut=cut
	in_guest $dir $cut < <(
		echo "cut=$cut"
		cat <<'GUEST'
	members=
	for disk; do [ $disk = $new ] || members="$members $disk"; done
	[ $bitmap = none ] && kind=--bitmap=none || kind="--bitmap=internal --bitmap-chunk=$bitmap"
	[ -z "$cut" ] || case $name in r1) array 1 ;; r10) array 10 ;; r6) array 6 ;; esac
	yes | mdadm --create $dev --run --name=$name --level=$level $kind --raid-devices=$count $members 2>&1
	idle
	dd if=$known of=$dev bs=1M conv=fsync 2>/dev/null || :
	echo frozen >$md/sync_action
	mdadm $dev --add $new 2>&1
	mdadm $dev --replace $2 --with $new 2>&1
	echo 8192 >$md/sync_max
	echo idle >$md/sync_action
	until [ "$(sed 's/ .*//; s/none/0/' $md/sync_completed)" -ge 8192 ]; do sleep 0.05; done
	if [ -n "$cut" ]; then
		# The checkpoint is in the superblocks; then the array is dirty until the end.
		echo frozen >$md/sync_action
		echo 600 >$md/safe_mode_delay
	fi
	dd if=$known of=$dev bs=1M count=1 skip=20 conv=fsync 2>/dev/null
	note whole
	if [ -z "$cut" ]; then stop; else cat $md/array_state; tail -n 1 /result/digests; fi
GUEST
	) || rig_fail "md cannot make $dir"
	grep "^r[0-9]* whole " "$(rig_console $dir.guest)" "$(rig_results $dir.guest)/digests" -hs | tr -d '\r' >$dir.digests
done
sum_of() { sed -n "s/^$1 whole //p" "$2.digests"; }
# DIR NAME: what md left there is read, and carried on.
carried_on() {
	local dir=$1 name=$2 count i disks
	count=$(last_of $name)
	disks=($(members $dir $name))
	mdadm --examine "${disks[count]}" >examined
	grep -q 'Recovery Offset : [1-9]' examined || { cat examined; rig_fail "$name of $dir is not in the middle"; }
	python3 "$TOP/tests/interop/raid_examine.py" "$TENON" "${disks[@]}" >judged || { cat judged; rig_fail "$name of $dir: examine and mdadm differ"; }
	same "$name of $dir" "$(read_of "${disks[@]}")" "$(sum_of $name $dir)"
	for i in "${!disks[@]}"; do
		# Level 6 that was cut off is not read without a member: the write hole.
		[ $dir$name != theirs-cutr6 ] || break
		same "$name of $dir without ${disks[i]}" "$(read_of "${disks[@]:0:i}" "${disks[@]:i+1}")" "$(sum_of $name $dir)"
	done
	if [ $dir = theirs-cut ]; then
		mkdir -p carried
		cp --sparse=always "${disks[@]}" carried
		disks=($(members carried $name))
	fi
	"$TOOL" assemble "${disks[@]}" -- status wait status >status 2>>log || rig_fail "$name does not go on"
	# After a cut anew, or by the bitmap: the part that was copied may differ.
	[ $dir = theirs-cut ] || grep -q "${disks[count]}: rebuilding, role 1, .* recovered [1-9]" status || { cat status; rig_fail "$name began anew"; }
	grep -q "${disks[1]}: faulty.*replaced by" status && grep -q "${disks[count]}: in sync, role 1" status ||
		{ cat status; rig_fail "$name was not replaced"; }
	same "$name of $dir, carried on" "$(read_of "${disks[@]}")" "$(sum_of $name $dir)"
}
left=0
for dir in theirs theirs-cut; do
	while read -r name _; do
		carried_on $dir $name
		left=$((left + 1))
	done <<<"$CASES"
done
[ $left = 6 ] || rig_fail "$left of 6"

# ---- tenon leaves it in the middle; stopped, or cut off ----
for dir in ours ours-cut; do
	end=status
	[ $dir = ours ] || end=crash
	while read -r name level count bitmap; do
		make_disks $dir $name
		disks=($(members $dir $name))
		options=(-l "$level")
		[ "$bitmap" = none ] && options+=(-B) || options+=(-b "$bitmap")
		"$TOOL" create $name "${options[@]}" "${disks[@]:0:count}" -- wait fill known rate 4M \
			replace "${disks[1]}" "${disks[count]}" until 40 write 0 1M 7 flush $end >/dev/null 2>>log ||
			rig_fail "$name cannot be made: $(tail -1 log)"
		mdadm --examine "${disks[count]}" | grep -q 'Recovery Offset' || rig_fail "$name: is not in the middle of it"
		echo "$name whole $(read_of "${disks[@]}")" >>$dir.digests
	done <<<"$CASES"
done

for dir in theirs theirs-cut ours ours-cut; do
	in_guest $dir <<'GUEST' || rig_fail "md does not take it"
		mdadm --assemble --run /dev/md0 "$@" 2>&1 || mdadm --detail /dev/md0
		idle
		# Between a resync and the recovery it may be idle.
		while mdadm --detail /dev/md0 | grep -q rebuilding; do sleep 0.1; idle; done
		mdadm --detail /dev/md0 | tail -8
		end=kept
		mdadm --detail /dev/md0 | grep -q "active sync.*$new" && end=replaced
		echo "$name $end" >>/result/ends
		judge; note whole; stop
GUEST
	[ "$(grep -c ' 0 0$' "$(rig_results $dir.guest)/mismatches")" = 3 ] ||
		{ cat "$(rig_results $dir.guest)/mismatches"; rig_fail "md finds that they differ, of what $dir left"; }
	while read -r name _ sum; do same "$name, of $dir" "$sum" "$(sum_of $name $dir)"; done <"$(rig_results $dir.guest)/digests"
done
ends() { sort "$(rig_results $1.guest)/ends"; }
for dir in theirs ours; do
	[ "$(ends $dir | grep -c replaced)" = 3 ] || { ends $dir; rig_fail "md did not end what $dir left"; }
done
same "ends of what was cut off" "$(ends ours-cut)" "$(ends theirs-cut)"
ends ours-cut | grep -q '^r1 replaced' || rig_fail "md did not end the mirror that was cut off"
# And md's end of what tenon began is read here.
for dir in ours ours-cut; do
	while read -r name _; do
		same "$name of $dir, ended by md" "$(read_of $(members $dir $name))" "$(sum_of $name $dir)"
	done <<<"$CASES"
done
[ $failed = 0 ] || rig_fail "see above"
echo "3 replacements carried on both ways, stopped and cut off; after the cut md ended $(ends ours-cut | grep -c replaced) of 3"
