#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LVM's RAID volumes, both ways: lvm2 and dm-raid make and fill them, tenon reads them whole and without a PV, repairs, writes; tenon makes
# and fills them, lvm2 activates, compares all images and reads the same, also without a PV.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
disks=()
for i in 0 1 2 3 4 5 6; do
	truncate -s 48M p$i
	disks+=(--disk p$i)
done
cat >names <<'LIST'
zero --type raid0 -i 3 -L 6M
zerom --type raid0_meta -i 2 -L 4M
one --type raid1 -m 1 -L 3M
two --type raid1 -m 2 -L 3M -R 64k --nosync
four --type raid4 -i 2 -L 4M
five --type raid5 -i 2 -L 6M
nfive --type raid5_n -i 2 -I 16k -L 4M
six --type raid6 -i 3 -L 6M
lsix --type raid6_ls_6 -i 3 -L 3M
ten --type raid10 -i 2 -m 1 -L 4M
LIST
redundant="one two four five nfive six lsix ten"

# --- Theirs.
rig_boot uml --name theirs "${disks[@]}" --with lvm2 --modules "$modules" --file names --script - <<'GUEST'
	set -e
	for disk in $DISKS; do pvcreate $disk; done >/dev/null
	vgcreate -s 1M vg $DISKS
	while read -r name options; do lvcreate -y $options -n $name vg; done </root/names
	while read -r name options; do
		case $name in zero*) ;; *) until lvs --noheadings -o sync_percent vg/$name | grep -q 100.00; do sleep 0.1; done ;; esac
		dd if=/dev/urandom of=/dev/vg/$name bs=64K conv=fsync 2>/dev/null || :
		echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/digests
	done </root/names
	lvs -a --noheadings --separator / -o lv_name,lv_size,segtype,stripes,stripe_size,region_size,data_copies,lv_role,devices --units b vg |
		sed 's/^ *//' | sort >/result/fields
	vgchange -an vg
GUEST
theirs=$(rig_results theirs)
sum() { sed -n "s/^$1 //p" "$theirs/digests"; }
same() { [ "$("$TENON" copy vg/$1 - 2>log | digest)" = "$(sum $1)" ] || { cat log; rig_fail "$1 reads otherwise $2"; }; }
export TENON_DEVICES=$WORK/p?
before=$(cat p? | digest)
while read -r name options; do same $name whole; done <names
mkdir away
mv p1 away
for name in $redundant; do same $name "without a PV"; done
mv away/p1 .
[ "$(cat p? | digest)" = "$before" ] || rig_fail "who only reads has written"
# A PV is lost for good, and what was on it comes to others.
rm p1
"$TENON" lv list --json >log && grep -q '"degraded"' log || { cat log; rig_fail "a volume is not degraded"; }
for name in $redundant; do
	try lv repair vg/$name
	same $name repaired
done
try vg reduce vg --remove-missing --force
disks=(--disk p0 --disk p2 --disk p3 --disk p4 --disk p5 --disk p6)
cat >judge <<'GUEST'
	set -e
	vgchange -ay vg
	for name in $(lvs --noheadings -o lv_name vg); do
		echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)" >>/result/digests
		case $name in zero*) continue ;; esac
		until lvs --noheadings -o sync_percent vg/$name | grep -q 100.00; do sleep 0.1; done
		lvchange --syncaction check vg/$name
		until lvs --noheadings -o raid_sync_action vg/$name | grep -q idle; do sleep 0.1; done
		echo "$name $(lvs --noheadings -o raid_mismatch_count,lv_health_status vg/$name | tr -d ' ')" >>/result/mismatches
	done
	lvs -a --noheadings --separator / -o lv_name,lv_size,segtype,stripes,stripe_size,region_size,data_copies,lv_role,devices --units b vg |
		sed 's/^ *//' | sort >/result/fields
	vgchange -an vg
GUEST
rig_boot uml --name repaired "${disks[@]}" --with lvm2 --modules "$modules" --script judge
result=$(rig_results repaired)
grep -v ' 0$' "$result/mismatches" && rig_fail "dm-raid finds differences in what was repaired"
diff <(grep -v '^zero' "$theirs/digests" | sort) <(sort "$result/digests") || rig_fail "dm-raid reads otherwise what was repaired"

# --- Ours.
rm -f p?
disks=()
for i in 0 1 2 3 4 5 6; do
	truncate -s 48M p$i
	disks+=(--disk p$i)
done
try vg create vg --extent-size 1M p?
while read -r name options; do
	words=$(sed 's/-i /--stripes /; s/-m /--mirrors /; s/-L /--size /; s/-R /--region-size /; s/-I /--stripe-size /; s/k\b/K/g' <<<"$options")
	# shellcheck disable=SC2086
	try lv create vg/$name $words
	head -c "$("$TENON" lv show vg/$name --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"])')" /dev/urandom >data
	try copy data vg/$name
	echo "$name $(digest <data)" >>made
done <names
try lv extend vg/five --size +2M
rig_boot uml --name ours "${disks[@]}" --with lvm2 --modules "$modules" --script judge
result=$(rig_results ours)
grep -v ' 0$' "$result/mismatches" && rig_fail "dm-raid finds differences"
diff <(grep -v "^five" made | sort) <(grep -v '^five' "$result/digests" | sort) || rig_fail "dm-raid reads otherwise"
diff <(grep -v five_ "$theirs/fields" | grep -v '^five') <(grep -v five_ "$result/fields" | grep -v '^five') >log ||
	{ cat log; rig_fail "lvs says something else of ours"; }
exit 0
