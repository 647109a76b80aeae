#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays to which tenon gave another level: md assembles each, at that level, with the same data, and finds no mismatch; also without its first member.
# timeout: 300
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
rig_known_data known 8
digest_of() { md5sum | cut -d ' ' -f 1; }

# NAME FROM LAYOUT COUNT ALL TO MEMBERS
CASES='up45 4 - 3 3 5 3
down54 5 parity-last 3 3 4 3
up15 1 - 2 2 5 2
down51 5 - 2 2 1 2
up56 5 - 3 4 6 4
down65 6 left-symmetric-6 4 4 5 3'

while read -r name from layout count all to members; do
	mapfile -t disks < <(for i in $(seq 0 $((all - 1))); do echo "$PWD/$name.$i"; done)
	truncate -s 16M "${disks[@]}"
	given=()
	for disk in "${disks[@]:0:count}"; do given+=(--device "$disk"); done
	args=(--level "$from")
	[ "$from" = 1 ] || args+=(--chunk 64K)
	[ "$layout" = - ] || args+=(--layout "$layout")
	"$TENON" raid create "$name" "${args[@]}" "${disks[@]:0:count}" >log 2>&1 || { cat log; rig_fail "$name is not made"; }
	"$TENON" raid rebuild "$name" "${given[@]}" >log 2>&1 || { cat log; rig_fail "$name is not in sync"; }
	"$TENON" copy known "md/$name" "${given[@]}" >log 2>&1 || { cat log; rig_fail "$name is not filled"; }
	add=()
	[ "$count" = "$all" ] || add=(--add "${disks[count]}")
	"$TENON" raid grow "$name" --level "$to" "${add[@]}" "${given[@]}" >log 2>&1 || { cat log; rig_fail "$name stays at its level"; }
	given=()
	for disk in "${disks[@]}"; do given+=(--device "$disk"); done
	"$TENON" raid rebuild "$name" "${given[@]}" >log 2>&1 || { cat log; rig_fail "$name is not in sync after it"; }
done <<<"$CASES"

# uml takes 15 disks: two boots.
guest() {
images=() number=0
{
	cat <<'GUEST'
	set -e
	md=/sys/block/md0/md
	sum() { head -c 8388608 /dev/md0 | md5sum | cut -d " " -f 1; }
GUEST
	while read -r name _ _ _ all _ _; do
		printf 'name=%s\nset --' "$name"
		for i in $(seq 0 $((all - 1))); do
			images+=(--disk "$PWD/$name.$i")
			printf ' $DISK%d' $number
			number=$((number + 1))
		done
		cat <<'GUEST'

		mdadm --assemble --run /dev/md0 "$@" 2>&1
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		echo check >$md/sync_action
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		echo "$name $(cat $md/level) $(cat $md/raid_disks) $(cat $md/degraded) $(cat $md/mismatch_cnt) $(sum)" >>/result/found
		mdadm --stop /dev/md0 2>&1
		shift
		mdadm --assemble --run /dev/md0 "$@" 2>&1
		echo "$name without $(sum)" >>/result/found
		mdadm --stop /dev/md0 2>&1
GUEST
	done
} >script
rig_boot uml --name "$1" "${images[@]}" --with mdadm --modules "raid456 raid1" --memory 384M --script script || rig_fail "md does not take them"
}
head -4 <<<"$CASES" | guest first
tail -2 <<<"$CASES" | guest second
sum=$(digest_of <known)
while read -r name from layout count all to members; do
	echo "$name raid$to $members 0 0 $sum"
	echo "$name without $sum"
done <<<"$CASES" >expected
cat "$(rig_results first)/found" "$(rig_results second)/found" | diff expected - || rig_fail "md sees other arrays"
echo "6 arrays with another level, as md sees them"
