#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Images of mirrors that are split off for a while and put back (lvconvert --trackchanges, --merge), by us and by lvm2 with dm-raid in turn: what is
# split off is as it was, each takes back what the other split off and wrote past, and dm-raid finds no difference in the end.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
disks=()
for i in 0 1 2 3; do truncate -s 40M p$i; disks+=(--disk p$i); done
export TENON_DEVICES=$WORK/p?
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
boot() { rig_boot uml --name $1 "${disks[@]}" --with lvm2 --modules "raid1 dm-raid" --file notes --script $1.sh; }
# same NAME FILE: what the volume reads as, by a file of lines "NAME DIGEST".
same() { [ "$("$TENON" copy vg/$1 - 2>log | digest)" = "$(sed -n "s/^$1 //p" $2)" ] || { cat log; rig_fail "$1 reads otherwise than $2 says"; }; }
: >notes
# FILE OFFSET: some of a volume is written.
head -c 262144 /dev/urandom >some
cat >begun.sh <<'GUEST'
	set -e
	vgcreate -s 1M vg $DISKS >/dev/null
	for name in la lb; do
		lvcreate -y --type raid1 -m 1 -L 4M -R 64k -n $name vg
		dd if=/dev/urandom of=/dev/vg/$name bs=64K conv=fsync 2>/dev/null || :
	done
	lvcreate -y --type raid1 -m 2 -L 4M -R 64k -n lc vg
	dd if=/dev/urandom of=/dev/vg/lc bs=64K conv=fsync 2>/dev/null || :
	until ! lvs --noheadings -o sync_percent vg | grep -qv 100.00; do sleep 0.1; done
	for name in la lb lc; do echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/old; done
	for name in la lb lc; do
		lvconvert -y --splitmirrors 1 --trackchanges vg/$name
		dd if=/dev/urandom of=/dev/vg/$name bs=64K count=5 seek=7 conv=notrunc,fsync 2>/dev/null
		echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/new
	done
	lvs -a --noheadings -o lv_name,attr vg
GUEST
boot begun
sed 's/^\(l[ab]\) /\1_rimage_1 /; s/^lc /lc_rimage_2 /' "$(rig_results begun)/old" >images.txt
cp "$(rig_results begun)/new" now.txt
for name in la lb lc; do same $name now.txt; done
for name in la_rimage_1 lb_rimage_1 lc_rimage_2; do same $name images.txt; done
"$TENON" lv resize vg/la --size 5M >log 2>&1 && rig_fail "a volume with an image that is split off grows"
grep -q "la_rimage_1 is split off" log || { cat log; rig_fail "why it does not grow"; }
# We write past their image and put it back, put another back without, and leave the third to them.
put() { "$TENON" copy vg/$1 whole --force >log 2>&1 && dd if=some of=whole bs=4096 seek=$2 conv=notrunc 2>log && "$TENON" copy whole vg/$1 --force >log 2>&1 || { cat log; rig_fail "$1 cannot be written"; }; sed -i "/^$1 /d" now.txt; echo "$1 $(digest <whole)" >>now.txt; }
put la 13
same la_rimage_1 images.txt
try lv convert vg/la_rimage_1 --merge
same la now.txt
try lv scrub vg/la
try lv convert vg/lc_rimage_2 --merge
try lv scrub vg/lc
# Ours: two that they put back, or write past.
for name in oa ob; do
	try lv create vg/$name --type raid1 --size 4M --region-size 64K
	head -c 4194304 /dev/urandom >whole
	try copy whole vg/$name --force
	try lv repair vg/$name
	echo "${name}_rimage_1 $(digest <whole)" >>images.txt
	try lv convert vg/$name --track-changes
	echo "$name $(digest <whole)" >>now.txt
	put $name 100
	same ${name}_rimage_1 images.txt
done
cat images.txt now.txt >notes
cat >middle.sh <<'GUEST'
	set -e
	vgchange -ay vg
	lvs -a --noheadings -o lv_name,attr vg
	for name in la lb lc oa ob oa_rimage_1 ob_rimage_1 lb_rimage_1; do
		[ "$(md5sum </dev/vg/$name | cut -d ' ' -f 1)" = "$(sed -n "s/^$name //p" /root/notes)" ] || echo "$name" >>/result/otherwise
	done
	dd if=/dev/urandom of=/dev/vg/ob bs=64K count=3 seek=40 conv=notrunc,fsync 2>/dev/null
	echo "ob $(md5sum </dev/vg/ob | cut -d ' ' -f 1)" >/result/written
	lvconvert --merge vg/oa_rimage_1
	lvconvert --merge vg/lb_rimage_1
	until ! lvs --noheadings -o sync_percent vg/oa vg/lb | grep -qv 100.00; do sleep 0.1; done
GUEST
boot middle
[ ! -e "$(rig_results middle)/otherwise" ] || rig_fail "lvm2 reads otherwise: $(cat "$(rig_results middle)/otherwise")"
sed -i '/^ob /d' now.txt
cat "$(rig_results middle)/written" >>now.txt
same ob now.txt
same ob_rimage_1 images.txt
try lv convert vg/ob_rimage_1 --merge
for name in la lb lc oa ob; do same $name now.txt; done
cat now.txt >notes
cat >judge.sh <<'GUEST'
	set -e
	vgchange -ay vg
	names=$(lvs --noheadings -o vg_name,lv_name --separator / vg)
	lvs --noheadings -o sync_percent,lv_health_status vg | grep -v '100.00 *$' && exit 1
	for name in $names; do
		lvchange --syncaction check $name
		[ "$(md5sum </dev/$name | cut -d ' ' -f 1)" = "$(sed -n "s/^${name#vg/} //p" /root/notes)" ] || echo "$name" >>/result/otherwise
	done
	until ! lvs --noheadings -o raid_sync_action vg | grep -qv idle; do sleep 0.1; done
	lvs --noheadings --separator ' ' -o lv_name,raid_mismatch_count vg >/result/mismatches
GUEST
boot judge
[ ! -e "$(rig_results judge)/otherwise" ] || rig_fail "lvm2 reads otherwise in the end: $(cat "$(rig_results judge)/otherwise")"
[ "$(grep -c ' 0$' "$(rig_results judge)/mismatches")" = 5 ] || { cat "$(rig_results judge)/mismatches"; rig_fail "dm-raid finds differences"; }
exit 0
