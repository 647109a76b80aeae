#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays that grew, both ways: what tenon grew md takes, finds sound and of the same size, and what md grew tenon reads.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
rig_known_data known 32
unset TENON_DEVICES
digest_of() { md5sum | cut -d ' ' -f 1; }
failed=0
same() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; failed=1; }; }

# NAME LEVEL MEMBERS BITMAP
CASES='r1 1 2 internal
r5 5 3 internal
r10 10 4 none'
disks_of() { local dir=$1 name=$2 count=$3; for i in $(seq 0 $((count - 1))); do echo "$dir/$name.$i"; done; }

guest() {
	local dir=$1 commands number=0 name level count bitmap disk disks=()
	commands=$(cat)
	{
		cat <<'GUEST'
		set -e
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
		stop() { mdadm --wait-clean /dev/md0 || :; mdadm --stop /dev/md0 2>&1; }
		note() { echo "$name $(cat $md/component_size) $(md5sum </dev/md0 | cut -d " " -f 1)" >>/result/digests; }
		for disk in $DISKS; do known=$disk; done
GUEST
		while read -r name level count bitmap; do
			printf 'name=%s level=%s count=%s bitmap=%s\nset --' "$name" "$level" "$count" "$bitmap"
			for disk in $(disks_of "$dir" "$name" "$count"); do
				printf ' $DISK%d' $number
				disks+=(--disk "$disk")
				number=$((number + 1))
			done
			printf '\n%s\n' "$commands"
		done <<<"$CASES"
	} >script
	rig_boot uml --name "$dir.guest" "${disks[@]}" --disk known:ro --with mdadm --modules "raid1 raid10 raid456" \
		--memory 384M --script script
}

mkdir ours theirs
while read -r name level count bitmap; do
	for disk in $(disks_of ours $name $count) $(disks_of theirs $name $count); do truncate -s 12M "$disk"; done
	mapfile -t disks < <(disks_of ours $name $count)
	chunk=()
	[ "$level" = 1 ] || chunk=(--chunk 64K)
	[ "$bitmap" = none ] || chunk+=(--bitmap internal --bitmap-chunk 64K)
	given=(); for disk in "${disks[@]}"; do given+=(--device "$disk"); done
	{
		"$TENON" raid create $name --level $level --size 4M "${chunk[@]}" "${disks[@]}"
		head -c 4M known >part
		"$TENON" copy part md/$name "${given[@]}"
		truncate -s 16M "${disks[@]}"
		"$TENON" raid grow $name --size max "${given[@]}"
		"$TENON" raid rebuild $name "${given[@]}"
	} >log 2>&1 || { cat log; rig_fail "$name does not grow"; }
	sectors=$("$TENON" raid show $name --json "${given[@]}" | sed -n 's/.*"member_size_bytes": \([0-9]*\).*/\1/p')
	echo "$name $((sectors / 1024)) $("$TENON" copy md/$name - "${given[@]}" 2>log | digest_of)" >>ours.digests
done <<<"$CASES"
guest ours <<'GUEST' || rig_fail "md does not take them"
	mdadm --assemble --run /dev/md0 "$@" 2>&1
	idle
	echo check >$md/sync_action; idle
	echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches
	note; stop
GUEST
[ "$(grep -c ' 0 0$' "$(rig_results ours.guest)/mismatches")" = 3 ] || { cat "$(rig_results ours.guest)/mismatches"; rig_fail "md finds that they differ"; }
diff ours.digests "$(rig_results ours.guest)/digests" || failed=1

guest theirs <<'GUEST' || rig_fail "md cannot make them"
	[ $bitmap = none ] && kind=--bitmap=none || kind="--bitmap=internal --bitmap-chunk=64K"
	[ $level = 1 ] || kind="$kind --chunk=64K"
	yes | mdadm --create /dev/md0 --run --name=$name --level=$level --size=4096 $kind --raid-devices=$count "$@" 2>&1
	idle
	mdadm --grow /dev/md0 --size=max 2>&1
	idle
	dd if=$known of=/dev/md0 bs=1M conv=fsync 2>/dev/null || :
	note; stop
GUEST
while read -r name level count _; do
	given=(); for disk in $(disks_of theirs $name $count); do given+=(--device "$disk"); done
	sectors=$("$TENON" raid show $name --json "${given[@]}" | sed -n 's/.*"member_size_bytes": \([0-9]*\).*/\1/p')
	same "$name, which md grew" "$name $((sectors / 1024)) $("$TENON" copy md/$name - "${given[@]}" 2>log | digest_of)" \
		"$(grep "^$name " "$(rig_results theirs.guest)/digests")"
	"$TENON" raid check $name "${given[@]}" >log 2>&1 || { cat log; failed=1; }
done <<<"$CASES"
[ $failed = 0 ] || rig_fail "see above"
echo "3 arrays that tenon grew judged by md, 3 of md's read"
