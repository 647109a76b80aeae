#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays to which tenon gave another level: md assembles each, at that level, with the same data, and finds no mismatch; also without its first member.
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
down65 6 left-symmetric-6 4 4 5 3
up05 0 - 2 3 5 3
up04 0 - 2 3 4 3
down50 5 parity-last 3 3 0 2
down40 4 - 3 3 0 2'

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
	[ "$name" != up45 ] || dd if="${disks[1]}" of=missed bs=4096 skip=1 count=1 status=none
	"$TENON" raid grow "$name" --level "$to" "${add[@]}" "${given[@]}" >log 2>&1 || { cat log; rig_fail "$name stays at its level"; }
	# The power went in the middle: one that the update did not reach.
	if [ "$name" = up45 ]; then
		for i in 0 1 2; do cp "${disks[i]}" "torn.$i"; done
		dd if=missed of=torn.1 bs=4096 seek=1 conv=notrunc status=none
	fi
	given=()
	[ "$to" != 0 ] || continue
	for disk in "${disks[@]}"; do given+=(--device "$disk"); done
	"$TENON" raid rebuild "$name" "${given[@]}" >log 2>&1 || { cat log; rig_fail "$name is not in sync after it"; }
done <<<"$CASES"

# mdadm does not mix them, of md's own making either; whoever has the same word has all data. Here they are taken together, and agree then.
mdadm --examine torn.0 | grep -q 'Raid Level : raid5' && mdadm --examine torn.1 | grep -q 'Raid Level : raid4' || rig_fail "they do not disagree"
mkdir mended
cp torn.[0-2] mended
"$TENON" copy md/up45 - --device "$PWD/mended/torn.0" --device "$PWD/mended/torn.1" --device "$PWD/mended/torn.2" 2>log | head -c 8M | cmp - known ||
	{ cat log; rig_fail "a takeover that was cut off is not read"; }
"$TENON" raid rebuild up45 --device "$PWD/mended/torn.0" --device "$PWD/mended/torn.1" --device "$PWD/mended/torn.2" >log 2>&1 || { cat log; rig_fail "it is not mended"; }
[ "$(mdadm --examine mended/torn.[0-2] | grep -c 'Raid Level : raid5')" = 3 ] || rig_fail "they disagree still"

# uml takes 15 disks: three boots.
guest() {
images=() number=0
{
	cat <<'GUEST'
	set -e
	md=/sys/block/md0/md
	sum() { head -c 8388608 /dev/md0 | md5sum | cut -d " " -f 1; }
GUEST
	while read -r name _ _ _ all to members; do
		[ "$to" != 0 ] || all=$members
		printf 'for name in %s; do\nset --' "$name"
		for i in $(seq 0 $((all - 1))); do
			images+=(--disk "$PWD/$name.$i")
			printf ' $DISK%d' $number
			number=$((number + 1))
		done
		cat <<'GUEST'

		mdadm --assemble --run /dev/md0 "$@" 2>&1
		if [ "$(cat $md/level)" = raid0 ]; then
			echo "$name raid0 $(cat $md/raid_disks) - - $(sum)" >>/result/found
			mdadm --stop /dev/md0 2>&1
			continue
		fi
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		echo check >$md/sync_action
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		echo "$name $(cat $md/level) $(cat $md/raid_disks) $(cat $md/degraded) $(cat $md/mismatch_cnt) $(sum)" >>/result/found
		mdadm --stop /dev/md0 2>&1
		shift
		mdadm --assemble --run /dev/md0 "$@" 2>&1
		echo "$name without $(sum)" >>/result/found
		mdadm --stop /dev/md0 2>&1
		done
GUEST
	done
} >script
rig_boot uml --name "$1" "${images[@]}" --with mdadm --modules "raid456 raid1 raid0" --memory 384M --script script || rig_fail "md does not take them"
}
sum=$(digest_of <known)
sed -n 1,4p <<<"$CASES" | guest first
sed -n 5,7p <<<"$CASES" | guest second
sed -n 8,10p <<<"$CASES" | guest third
rig_boot uml --name torn --disk "$PWD/torn.0" --disk "$PWD/torn.1" --disk "$PWD/torn.2" --disk "$PWD/mended/torn.0" --disk "$PWD/mended/torn.1" \
	--disk "$PWD/mended/torn.2" --with mdadm --modules raid456 --memory 384M --script - <<'GUEST' || rig_fail "md does not take what agrees"
	set -e
	sum() { head -c 8388608 /dev/md0 | md5sum | cut -d " " -f 1 >>/result/found; mdadm --stop /dev/md0 2>&1; }
	mdadm --assemble --run /dev/md0 $DISK0 $DISK1 $DISK2 2>&1 && sum || echo refused >>/result/found
	mdadm --assemble --run /dev/md0 $DISK0 $DISK2 2>&1
	sum
	mdadm --assemble /dev/md0 $DISK3 $DISK4 $DISK5 2>&1
	sum
GUEST
printf 'refused\n%s\n%s\n' "$sum" "$sum" | diff - "$(rig_results torn)/found" || rig_fail "md reads a torn takeover otherwise"
while read -r name from layout count all to members; do
	[ "$to" != 0 ] || { echo "$name raid0 $members - - $sum"; continue; }
	echo "$name raid$to $members 0 0 $sum"
	echo "$name without $sum"
done <<<"$CASES" >expected
cat "$(rig_results first)/found" "$(rig_results second)/found" "$(rig_results third)/found" | diff expected - || rig_fail "md sees other arrays"
echo "10 arrays with another level, as md sees them"
