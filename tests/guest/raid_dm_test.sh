#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The arrays of LVM's RAID segments, both ways: lvm2 and dm-raid make and fill them; tenon assembles their data and metadata volumes, reads
# them whole and degraded, writes, fails a member; dm-raid takes what came of it, finds it sound and reads the same.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
digest() { md5sum | cut -d ' ' -f 1; }
disks=()
for i in 0 1 2 3 4; do
	truncate -s 64M p$i
	disks+=(--disk p$i)
done

rig_boot uml --name theirs "${disks[@]}" --with lvm2 --modules "raid456 raid1 raid10 dm-raid" --script - <<'GUEST'
	set -e
	for disk in $DISKS; do pvcreate $disk; done >/dev/null
	vgcreate -s 1M vg $DISKS
	lvcreate -y --type raid1 -m 1 -L 8M -n one vg
	lvcreate -y --type raid5 -i 2 -I 64 -L 8M -n five vg
	lvcreate -y --type raid6 -i 3 -I 64 -L 9M -n six vg
	lvcreate -y --type raid10 -i 2 -m 1 -I 64 -L 8M -n ten vg
	for name in one five six ten; do
		until lvs --noheadings -o sync_percent vg/$name | grep -q 100.00; do sleep 0.1; done
		dd if=/dev/urandom of=/dev/vg/$name bs=64K conv=fsync 2>/dev/null || :
		echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/digests
	done
	sync
	vgchange -an vg
	pvs --noheadings -o pv_name,pe_start --units b --nosuffix >/result/pvs
	lvs -a --noheadings -o lv_name,seg_size,devices --units b --nosuffix vg >/result/places
GUEST
result=$(rig_results theirs)
sum() { sed -n "s/^$1 //p" "$result/digests"; }
# NAME: its components, as raid_tool wants them; and their sizes in $size and $meta.
parts() {
	local name=$1 i place start file
	words=()
	for i in 0 1 2 3 4; do
		place=$(awk -v lv="[${name}_rimage_$i]" '$1 == lv { print $2, $3 }' "$result/places")
		[ -n "$place" ] || continue
		size=${place% *}
		words+=("$(at "${place#* }"):$(at "$(awk -v lv="[${name}_rmeta_$i]" '$1 == lv { print $3 }' "$result/places")")")
		meta=$(awk -v lv="[${name}_rmeta_$i]" '$1 == lv { print $2 }' "$result/places")
	done
}
# DEVICE(EXTENT): FILE:BYTE.
at() {
	local device=${1%'('*} extent=${1#*'('} number
	extent=${extent%?}
	number=$(awk -v pv="$device" '$1 == pv { print NR - 1 }' "$result/pvs")
	echo "p$number:$((extent * 1048576 + $(awk -v pv="$device" '$1 == pv { print $2 }' "$result/pvs")))"
}
declare -A shape=([one]='1 0 0' [five]='5 2 64K' [six]='6 8 64K' [ten]='10 258 64K')
assemble() { "$TOOL" components "$@" 2>>log; }
for name in one five six ten; do
	parts $name
	[ "$(assemble -r ${shape[$name]} $size $meta "${words[@]}" -- cat | digest)" = "$(sum $name)" ] || { tail -3 log; rig_fail "$name reads otherwise"; }
	[ "$(assemble -r ${shape[$name]} $size $meta missing "${words[@]:1}" -- cat | digest)" = "$(sum $name)" ] ||
		{ tail -3 log; rig_fail "$name reads otherwise without the first"; }
done
# Another shape than the superblocks': refused.
parts five
assemble -r 5 3 64K $size $meta "${words[@]}" -- status && rig_fail "another layout is taken"
grep -q 'superblock has layout 2, expected 3' log || { tail -3 log; rig_fail "it does not say that the layout is another"; }
# Writes: stopped, crashed, and with a member failed.
for name in one six; do
	parts $name
	assemble ${shape[$name]} $size $meta "${words[@]}" -- write 1M 100K 1 write 3M 12K 2 flush || { tail -3 log; rig_fail "writing $name"; }
done
parts ten
assemble ${shape[ten]} $size $meta "${words[@]}" -- write 1M 100K 1 write 3M 12K 2 flush crash || :
parts five
assemble ${shape[five]} $size $meta missing "${words[@]:1}" -- write 2M 300K 3 write 5M 4K 4 flush || { tail -3 log; rig_fail "writing degraded"; }
# The one that failed is here again: nothing is read from it until it has what it missed, by the bitmap.
degraded=$(assemble -r ${shape[five]} $size $meta missing "${words[@]:1}" -- cat | digest)
[ "$(assemble -r ${shape[five]} $size $meta "${words[@]}" -- cat | digest)" = "$degraded" ] || rig_fail "the one that failed is read from"
assemble ${shape[five]} $size $meta "${words[@]}" -- wait || { tail -3 log; rig_fail "filling"; }
[ "$(assemble -r ${shape[five]} $size $meta "${words[0]}" missing "${words[2]}" -- cat | digest)" = "$degraded" ] || rig_fail "it was filled with something else"
for name in one five six ten; do
	parts $name
	echo "$name $(assemble -r ${shape[$name]} $size $meta "${words[@]}" -- cat | digest)" >>ours
done

rig_boot uml --name judge "${disks[@]}" --with lvm2 --modules "raid456 raid1 raid10 dm-raid" --script - <<'GUEST'
	set -e
	vgchange -ay vg
	for name in one six ten five; do
		until lvs --noheadings -o sync_percent vg/$name | grep -q 100.00; do sleep 0.1; done
		echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/judged
		lvchange --syncaction check vg/$name
		until lvs --noheadings -o raid_sync_action vg/$name | grep -q idle; do sleep 0.1; done
		echo "$name $(lvs --noheadings -o raid_mismatch_count vg/$name | tr -d ' ')" >>/result/mismatches
	done
	vgchange -an vg
GUEST
cat "$(rig_results judge)/judged" "$(rig_results judge)/mismatches"
diff <(sort ours) <(sort "$(rig_results judge)/judged") || rig_fail "dm-raid reads otherwise"
grep -v ' 0$' "$(rig_results judge)/mismatches" && rig_fail "dm-raid finds differences"
exit 0
