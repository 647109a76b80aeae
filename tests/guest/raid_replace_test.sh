#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Replacing a member, both ways: what md left in the middle of it tenon reads, also without any one member, and carries on; what tenon left, killed
# or stopped, md carries on; what either finished the other takes.
# timeout: 300
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

# DIR: runs the commands on standard input for each case: $name $level $count $bitmap, its disks are $@, the last one is $new.
in_guest() {
	local dir=$1 commands number=0 name level count bitmap i disks=()
	commands=$(cat)
	{
		cat <<'GUEST'
		set -e
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
		note() { echo "$name $1 $(md5sum </dev/md0 | cut -d " " -f 1)" >>/result/digests; }
		stop() { mdadm --wait-clean /dev/md0 || :; mdadm --stop /dev/md0 2>&1; }
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
	} >script
	rig_boot uml --name "$dir.guest" "${disks[@]}" --disk known:ro --with mdadm --modules "raid1 raid10 raid456" \
		--memory 384M --script script
}

# ---- md leaves it in the middle ----
while read -r name _; do make_disks theirs "$name"; done <<<"$CASES"
in_guest theirs <<'GUEST' || rig_fail "md cannot make them"
	shift 0; members=
	for disk; do [ $disk = $new ] || members="$members $disk"; done
	[ $bitmap = none ] && kind=--bitmap=none || kind="--bitmap=internal --bitmap-chunk=$bitmap"
	yes | mdadm --create /dev/md0 --run --name=$name --level=$level $kind --raid-devices=$count $members 2>&1
	idle
	dd if=$known of=/dev/md0 bs=1M conv=fsync 2>/dev/null || :
	echo frozen >$md/sync_action
	mdadm /dev/md0 --add $new 2>&1
	mdadm /dev/md0 --replace $2 --with $new 2>&1
	echo 8192 >$md/sync_max
	echo idle >$md/sync_action
	until [ "$(cat $md/sync_completed)" != none ]; do sleep 0.05; done
	sleep 0.5
	dd if=$known of=/dev/md0 bs=1M count=1 skip=20 conv=fsync 2>/dev/null
	note whole; stop
GUEST
cp "$(rig_results theirs.guest)/digests" theirs.digests
sum_of() { sed -n "s/^$1 whole //p" "$2.digests"; }
left=0
while read -r name _ count _; do
	disks=($(members theirs $name))
	mdadm --examine "${disks[count]}" >examined
	grep -q 'Recovery Offset : [1-9]' examined || { cat examined; rig_fail "$name is not in the middle"; }
	same "$name, which md left" "$(read_of "${disks[@]}")" "$(sum_of $name theirs)"
	for i in "${!disks[@]}"; do
		same "$name without ${disks[i]}" "$(read_of "${disks[@]:0:i}" "${disks[@]:i+1}")" "$(sum_of $name theirs)"
	done
	"$TOOL" assemble "${disks[@]}" -- status wait status >status 2>>log || rig_fail "$name does not go on"
	grep -q "${disks[count]}: rebuilding, role 1, .* recovered [1-9]" status || { cat status; rig_fail "$name began anew"; }
	grep -q "${disks[1]}: faulty.*replaced by" status && grep -q "${disks[count]}: in sync, role 1" status ||
		{ cat status; rig_fail "$name was not replaced"; }
	left=$((left + 1))
done <<<"$CASES"
[ $left = 3 ] || rig_fail "$left of 3"

# ---- tenon leaves it in the middle; killed, or stopped ----
while read -r name level count bitmap; do
	make_disks ours $name
	disks=($(members ours $name))
	options=(-l "$level")
	[ "$bitmap" = none ] && options+=(-B) || options+=(-b "$bitmap")
	end=status
	[ $name = r6 ] || end=crash
	"$TOOL" create $name "${options[@]}" "${disks[@]:0:count}" -- wait fill known rate 4M replace "${disks[1]}" "${disks[count]}" \
		until 40 write 0 1M 7 flush $end >/dev/null 2>>log || rig_fail "$name cannot be made: $(tail -1 log)"
	mdadm --examine "${disks[count]}" | grep -q 'Recovery Offset' || rig_fail "$name: is not in the middle of it"
	echo "$name whole $(read_of "${disks[@]}")" >>ours.digests
done <<<"$CASES"

for dir in theirs ours; do
	in_guest $dir <<'GUEST' || rig_fail "md does not take it"
		mdadm --assemble --run /dev/md0 "$@" 2>&1 || mdadm --detail /dev/md0
		idle
		mdadm --detail /dev/md0 | tail -8
		mdadm --detail /dev/md0 | grep -q "active sync.*$new" && echo "$name" >>/result/replaced
		judge; note whole; stop
GUEST
	[ "$(grep -c ' 0 0$' "$(rig_results $dir.guest)/mismatches")" = 3 ] ||
		{ cat "$(rig_results $dir.guest)/mismatches"; rig_fail "md finds that they differ, of what $dir left"; }
	[ "$(wc -l <"$(rig_results $dir.guest)/replaced")" = 3 ] || rig_fail "md did not end what $dir left"
	while read -r name _ sum; do same "$name, of $dir" "$sum" "$(sum_of $name $dir)"; done <"$(rig_results $dir.guest)/digests"
done
# And md's end of what tenon began is read here.
while read -r name _; do
	same "$name, ended by md" "$(read_of $(members ours $name))" "$(sum_of $name ours)"
done <<<"$CASES"
[ $failed = 0 ] || rig_fail "see above"
echo "3 replacements of md's carried on, 3 of tenon's by md"
