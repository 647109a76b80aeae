#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Moves of extents that one side leaves half done, and the other takes to their end or undoes: lvm2 with the real device-mapper, and
# tenon. Linear, striped and RAID volumes, in several parts.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="dm-mirror raid1 raid456 dm-raid"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
export TENON_DEVICES="$WORK/p?"
disks=(--disk p0 --disk p1 --disk p2 --disk p3)
volumes="first stripes mirror second"
blank() {
	rm -f p? digests
	truncate -s 96M p0 p1 p2 p3
}
fill() { # by tenon: what each must be from now on
	local name bytes
	for name in $volumes; do
		bytes=$("$TENON" lv show vg/$name --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"])')
		head -c "$bytes" /dev/urandom >data
		try copy data vg/$name
		echo "$name $(digest <data)" >>digests
	done
}
same() { # WHEN
	local name
	for name in $volumes; do
		[ "$("$TENON" copy vg/$name - 2>log | digest)" = "$(sed -n "s/^$name //p" digests)" ] || { cat log; rig_fail "$name reads otherwise $1"; }
	done
}
# used IMAGE: extents that are used of it
used() { "$TENON" pv show "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["allocated_extents"])'; }
moving() { "$TENON" lv list --all --json | python3 -c 'import json, sys; print(*[v["moved_percent"] for v in json.load(sys.stdin) if v["name"] == "pvmove0"])'; }

cat >judge <<'GUEST'
	set -e
	vgck vg
	vgchange -ay vg
	for name in first stripes mirror second; do
		echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/digests
	done
	until lvs --noheadings -o sync_percent vg/mirror | grep -q 100.00; do sleep 0.1; done
	lvchange --syncaction check vg/mirror
	until lvs --noheadings -o raid_sync_action vg/mirror | grep -q idle; do sleep 0.1; done
	lvs --noheadings -o raid_mismatch_count vg/mirror | tr -d ' ' >/result/mismatches
	pvs --noheadings --nosuffix --units m -o pv_used >/result/used
	lvs -a --noheadings -o lv_name vg | tr -d ' []' >/result/names
	vgchange -an vg
GUEST
# judged NAME LEAST MOST [SCRIPT]: after the script the real one reads the same, nothing of a move is left, and so many extents are on p0
judged() {
	local result
	cat - judge <<<"${4-}" >script
	rig_boot uml --name "$1" "${disks[@]}" --with lvm2 --modules "$modules" --script script
	result=$(rig_results "$1")
	diff digests "$result/digests" || rig_fail "$1: dm reads otherwise"
	[ "$(cat "$result/mismatches")" = 0 ] || rig_fail "$1: the mirror differs"
	! grep pvmove "$result/names" || rig_fail "$1: the move is still there"
	[ "$(used p0)" -ge "$2" ] && [ "$(used p0)" -le "$3" ] || rig_fail "$1: $(used p0) extents are on p0, expected $2 to $3"
}

# --- Theirs, cut off in the second of its parts by an end of the kernel, with copies that are slow.
make_volumes='
	set -e
	pvcreate $DISKS >/dev/null
	vgcreate -s 1M vg $DISKS
	lvcreate -y -L 12M -n first vg $DISK0
	lvcreate -y -L 8M -i 2 -n stripes vg $DISK0 $DISK1
	lvcreate -y --type raid1 -m 1 -L 6M -n mirror vg $DISK0 $DISK1
	until lvs --noheadings -o sync_percent vg/mirror | grep -q 100.00; do sleep 0.1; done
	lvcreate -y -L 20M -n second vg $DISK0
	vgchange -an vg'
blank
rig_boot uml --name maker "${disks[@]}" --with lvm2 --modules "$modules" --run "$make_volumes"
[ "$(used p0)" = 43 ] || rig_fail "$(used p0) extents are on p0"
fill
mkdir made
cp --sparse=always p? made/
half='
	set -e
	vgchange -ay vg
	echo 1 >/sys/module/dm_mirror/parameters/raid1_resync_throttle
	pvmove -i 1 $DISK0 $DISK2 $DISK3 >/result/log 2>&1 &
	for i in $(seq 3000); do ! dmsetup status vg-pvmove0 2>/dev/null | grep -q "^0 24576 linear" || break; sleep 0.1; done
	dmsetup status vg-pvmove0 >/result/table
	sync
	kill -9 $!'
rig_boot uml --name half "${disks[@]}" --with lvm2 --modules "$modules" --run "$half"
grep -q mirror "$(rig_results half)/table" || rig_fail "pvmove left nothing half done"
moved=$(moving)
[ -n "$moved" ] && [ "$moved" != 0.0 ] || rig_fail "it is moved by '$moved' %"
echo "LVM2 left a move at $moved %"
same "in the middle of their move"
mkdir half.disks
cp --sparse=always p? half.disks/
try pv move p0 --abort
same "after their move was undone"
undone=$(used p0)
judged undone "$undone" "$undone"
[ "$undone" -gt 0 ] && [ "$undone" -lt 43 ] || rig_fail "$undone extents stay on p0"
cp --sparse=always half.disks/p? .
try pv move p0 --continue
same "after their move was carried on"
judged carried-on 0 0

# --- Ours, cut off as well.
for end in 'pvmove --abort' pvmove; do
	cp --sparse=always made/p? .
	rm digests
	fill
	"$TENON" pv move p0 p2 p3 --rate 2M >said 2>&1 & mover=$!
	rig_await 60 eval '[ -n "$(moving)" ] && [ "$(moving)" != 0.0 ]'
	kill -9 $mover
	wait $mover 2>/dev/null || :
	echo "ours is at $(moving) %"
	stays=$(python3 -c "print(round(43 * (100 - $(moving)) / 100))")
	[ "$stays" -gt 0 ] && [ "$stays" -lt 43 ] || rig_fail "ours was not in the middle"
	same "in the middle of ours"
	end="
		set -e
		vgchange -ay vg
		$end || $end # vgchange may have begun it
		until ! lvs -a --noheadings -o lv_name vg | grep -q pvmove; do sleep 0.1; done
		vgchange -an vg"
	case $end in
	*abort*) judged aborted 1 "$stays" "$end" ;; # the kernel may have copied another part before it was told
	*) judged ended 0 0 "$end" ;;
	esac
	same "after theirs"
done
exit 0
