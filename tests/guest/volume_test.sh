#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The real device-mapper: groups of ours are activated, read, written and changed by lvm2 in a guest and
# come back; groups that the guest makes are read and changed here.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
volume=$TOP/build/tests/helpers/volume
[ -x "$volume" ] || rig_skip "$volume is not built"
cd "$WORK"

# rig_judge's LOGICAL lines of a group, as we read it.
logical() { # VG FILE...
	local vg=$1 lv size
	shift
	"$volume" show "$@" | sed -n 's/^lv \([^ ]*\) [^ ]* size=\([0-9]*\) type=\(linear\|striped\) .*visible=1.*/\1 \2/p' |
		while read -r lv size; do
			echo "$vg/$lv $size $("$volume" lvread "$vg/$lv" "$@" | md5sum | cut -d ' ' -f 1)"
		done | sort
}
same() { # WHAT FILE FILE
	diff <(sort "$2") <(sort "$3") || rig_fail "$1: data differ"
}

# --- Ours to the kernel: linear in pieces, striped, over two PVs, two metadata areas on each.
truncate -s 48M d0.img
truncate -s 32M d1.img
disks=(d0.img d1.img)
TENON_EXTENT=1048576 TENON_MDAS=2 TENON_MDASIZE=65536 "$volume" create vg-x "${disks[@]}"
for i in 1 2 3 4 5 6; do "$volume" lvcreate vg-x/t$i 3 "${disks[@]}"; done
for i in 2 4 6; do "$volume" lvremove vg-x/t$i "${disks[@]}"; done
"$volume" lvcreate vg-x/str.iped 12:2 "${disks[@]}"
"$volume" lvcreate vg-x/frag-ments 32 "${disks[@]}"
for lv in t1 t3 t5 str.iped frag-ments; do
	head -c 32M /dev/urandom | "$volume" lvwrite vg-x/$lv "${disks[@]}"
done
logical vg-x "${disks[@]}" >ours
[ "$(wc -l <ours)" = 5 ] || rig_fail "our own volumes: $(cat ours)"
EXTRA='
	lvs -a -o+devices,segtype | tee /result/lvs
	dmsetup table | tee /result/table
	lvcreate -y -L 3m -n made_there vg-x
	lvextend -l +1 vg-x/t3
	lvchange --addtag there vg-x/t5
	lvremove -y vg-x/t1
	head -c 1M /dev/zero | tr "\0" T | dd of=/dev/vg-x/frag-ments bs=64k seek=300 conv=fsync,notrunc
	logical; digest >/result/after
	for vg in $vgs; do vgck "$vg"; done' \
	rig_judge judged "${disks[@]}"
same "read by the kernel" ours judged/LOGICAL
logical vg-x "${disks[@]}" >again
same "changed by the kernel" judged/after again
"$volume" check "${disks[@]}" >checked || rig_fail "check: $(cat checked)"
"$volume" lvresize vg-x/made_there 5000000 "${disks[@]}"
"$volume" lvremove vg-x/str.iped "${disks[@]}"
logical vg-x "${disks[@]}" >third
rig_judge third_time "${disks[@]}"
same "changed by us again" third third_time/LOGICAL

# --- The kernel's to us: fragmented, striped, small extents, odd layout, and a raid1 to be let alone.
rig_make_lvm made "32M 40M 24M" '
	set -- $DISKS
	pvcreate --dataalignment 256k --metadatasize 64k $1
	pvcreate --labelsector 3 --metadatacopies 2 $2
	pvcreate --metadataignore y --bootloaderareasize 1m $3
	vgcreate -s 128k --addtag a+b k $DISKS
	for i in 1 2 3 4 5 6 7 8; do lvcreate -y -l 20 -n t$i k; done
	for i in 1 3 5 7; do lvremove -y k/t$i; done
	lvcreate -y -l 250 -n big k
	lvcreate -y -l 90 -i 3 -I 16k -n s.3-way k
	lvextend -l +60 k/s.3-way
	# filled
	lvrename k t2 re-named
	lvchange -pr k/t4
	lvchange -an k/t6
	lvchange --setactivationskip y k/t8'
sed -i 's|k/t2 |k/re-named |' made/LOGICAL
logical k made/d*.img >read
same "written by the kernel" made/LOGICAL read
"$volume" lvwrite k/t4 made/d*.img </dev/null 2>said && rig_fail "a read-only volume was opened for writing"
grep -q 'k/t4: the volume is read-only' said || rig_fail "$(cat said)"
"$volume" lvcreate k/ours 16 made/d*.img
head -c 2M /dev/urandom | "$volume" lvwrite k/ours made/d*.img
"$volume" lvresize k/big 20000000 made/d*.img
logical k made/d*.img | grep -v 'k/t8 ' >changed
rig_judge last made/d0.img made/d1.img made/d2.img
same "changed by us" changed last/LOGICAL
