#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LVM's RAID volumes as lvm2 and dm-raid leave them when something happens: power cut in the first resync, while they are written, in the
# middle of a repair; never synchronized; a PV that slept through writes; two PVs gone. tenon starts those that dm-raid starts, reads the
# same, brings all images into line, and dm-raid finds no difference then. Beside them mirrors of the older type, which dm-mirror left in sync, half
# copied and half written, with logs of all kinds: tenon reads what their first leg has, without it what the log vouches for, and makes of
# them what lvm2 takes.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid dm-mirror"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
boot() {
	local name=$1 disk disks=()
	shift
	for disk; do disks+=(--disk $disk); done
	rig_boot uml --name $name "${disks[@]}" --with lvm2 --with dmsetup --modules "$modules" --script $name.sh
	result=$(rig_results $name)
}
# same FILE NAME TEXT: the volume reads as FILE says.
same() { [ "$("$TENON" copy $2 - 2>log | digest)" = "$(sed -n "s,^$2 ,,p" $1)" ] || { cat log; rig_fail "$2 reads otherwise $3"; }; }
truncate -s 64M p0 p1 p2 p3 p4
truncate -s 32M h0 h1 h2 h3 h4 h5 h6
truncate -s 128M m0 m1 m2
cat >made.sh <<'GUEST'
	set -e
	set -- $DISKS
	lvm <<-COMMANDS >/dev/null
		vgcreate -s 1M vg $1 $2 $3 $4 $5
		vgcreate -s 1M half $6 $7 $8 $9 ${10} ${11} ${12}
		lvcreate -y --type raid1 -m 1 -L 4M -n cone vg
		lvcreate -y --type raid5 -i 2 -L 4M -n cfive vg
		lvcreate -y --type raid6 -i 3 -L 6M -n csix vg
		lvcreate -y --type raid10 -i 2 -m 1 -L 4M -n cten vg
		lvcreate -y --type raid5 -i 2 -L 4M -n ofive vg
		lvcreate -y --type raid5 -i 2 -L 4M --nosync -n sfive vg
		lvcreate -y --type raid10 -i 2 -m 1 -L 4M --nosync -n sten vg
		lvcreate -y --type raid1 -m 1 -L 4M -n one half
		lvcreate -y --type raid6 -i 3 -L 9M -n six half
	COMMANDS
	until ! lvs --noheadings -o sync_percent | grep -qv 100.00; do sleep 0.1; done
	lvm <<-COMMANDS >/dev/null
		lvcreate -y --type raid1 -m 1 -L 4M -n uone --minrecoveryrate 1k --maxrecoveryrate 1k vg
		lvcreate -y --type raid4 -i 2 -L 4M -n ufour --minrecoveryrate 1k --maxrecoveryrate 1k vg
		lvcreate -y --type raid5 -i 2 -L 4M -n ufive --minrecoveryrate 1k --maxrecoveryrate 1k vg
		lvcreate -y --type raid6 -i 3 -L 6M -n usix --minrecoveryrate 1k --maxrecoveryrate 1k vg
		lvcreate -y --type raid10 -i 2 -m 1 -L 4M -n uten --minrecoveryrate 1k --maxrecoveryrate 1k vg
	COMMANDS
	for name in $(lvs --noheadings -o vg_name,lv_name --separator /); do
		dd if=/dev/urandom of=/dev/$name bs=64K conv=fsync 2>/dev/null || :
		echo "$name $(md5sum </dev/$name | cut -d ' ' -f 1)" >>/result/digests
	done
	# In the metadata only, not in dm: tenon keeps to these rates, too.
	lvchange --driverloaded n --minrecoveryrate 0 --maxrecoveryrate 0 vg/uone vg/ufour vg/ufive vg/usix vg/uten
	lvchange -an half vg/ofive
	# The power goes while they are written, with what they have anyway.
	for name in cone cfive csix cten; do
		dd if=/dev/vg/$name of=/run/$name bs=64K count=32 2>/dev/null
		(while :; do dd if=/run/$name of=/dev/vg/$name bs=4K conv=notrunc oflag=direct 2>/dev/null; done) &
	done
	shift 12
	echo 1 >/sys/module/dm_mirror/parameters/raid1_resync_throttle
	lvm <<-COMMANDS >/dev/null
		vgcreate -s 1M old $1 $2 $3
		lvcreate -y --type mirror -m 1 --mirrorlog disk -L 4M -n mdisk old
		lvcreate -y --type mirror -m 1 --mirrorlog disk -R 64k -L 4M -n mdirty old
		lvcreate -y --type mirror -m 1 --mirrorlog core -L 4M -n mcore old
		lvcreate -y --type mirror -m 2 --alloc anywhere --mirrorlog disk -L 4M -n mthree old
		lvcreate -y --type mirror -m 1 --alloc anywhere --mirrorlog mirrored --config global/support_mirrored_mirror_log=1 -L 4M -n mlogs old
		lvcreate -y --type mirror -m 1 --mirrorlog disk --nosync -L 4M -n msame old
	COMMANDS
	for name in mdisk mdirty mcore mthree mlogs msame; do dd if=/dev/urandom of=/dev/old/$name bs=64K conv=fsync 2>/dev/null || :; done
	until ! lvs --noheadings -o sync_percent old | grep -qv 100.00; do sleep 0.1; done
	# One that may be copied in part only.
	lvcreate -y --type mirror -m 1 --mirrorlog disk -L 96M -n mhalf old
	for name in $(lvs --noheadings -o lv_name old); do echo "old/$name $(md5sum </dev/old/$name | cut -d ' ' -f 1)" >>/result/mirrors; done
	lvs -a --noheadings -o lv_name,attr old | tr -d '[]' >/result/attributes
	# Writes that do not end, with what is there anyway: their regions stay marked.
	dd if=/dev/old/mdirty of=/run/mdirty bs=64K 2>/dev/null
	written() { set -- $(cat /sys/dev/block/$(dmsetup info -c --noheadings -o major,minor --separator : old-mdirty_mimage_0)/stat); echo $5; }
	dmsetup suspend old-mdirty_mimage_1
	before=$(written)
	dd if=/run/mdirty of=/dev/old/mdirty bs=64K count=4 conv=notrunc oflag=direct 2>/dev/null &
	# The log is written before either leg.
	until [ "$(written)" -gt "$before" ]; do sleep 0.05; done
GUEST
boot made p0 p1 p2 p3 p4 h0 h1 h2 h3 h4 h5 h6 m0 m1 m2
cp "$result/digests" made.txt
export TENON_DEVICES=$WORK/p?:$WORK/h?
before=$(cat p? h? | digest)
while read -r name _; do same made.txt $name whole; done <made.txt
[ "$(cat p? h? | digest)" = "$before" ] || rig_fail "who only reads has written"
mkdir away
# The older mirrors: whole, without their first leg, without the second.
sort "$result/mirrors" >mirrors.txt
before=$(cat m? | digest)
mirrored() { TENON_DEVICES=$WORK/m? "$@"; }
while read -r name _; do mirrored same mirrors.txt $name whole; done <mirrors.txt
[ "$(cat m? | digest)" = "$before" ] || rig_fail "who only reads mirrors has written"
# In these lvs has what is in use, too.
TENON_DEVICES=$WORK/m? "$TENON" lv list old --all --json >listed 2>log || { cat log; rig_fail "mirrors are not listed"; }
python3 - listed "$result/attributes" <<'CHECK' || rig_fail "attributes of mirrors"
import json, sys
ours = {row["name"]: row["attributes"] for row in json.load(open(sys.argv[1]))}
for line in open(sys.argv[2]):
    name, theirs = line.split()
    theirs = theirs[:4] + "--" + theirs[6:]
    if ours[name].lower() != theirs.lower() or (ours[name][0] != theirs[0] and "half" not in name): exit(f"{name}: {ours[name]}, lvs says {theirs}")
CHECK
mv m1 away
for name in mdisk mdirty mcore mhalf; do mirrored same mirrors.txt old/$name "without the second leg"; done
mv away/m1 .
mv m0 away
for name in mdisk msame; do mirrored same mirrors.txt old/$name "without the first leg"; done
for name in mdirty mcore mhalf; do
	if mirrored "$TENON" copy old/$name - >out 2>log; then
		[ $name = mhalf ] || rig_fail "$name is read, and nobody knows what it holds"
		mirrored same mirrors.txt old/mhalf "without the first leg"
	else
		grep -Eq "its first leg is lost, and .* says of [0-9]+ of [0-9]+ regions" log || { cat log; rig_fail "$name without its first leg"; }
	fi
done
mv away/m0 .
for become in "mdisk --type raid1" "mdirty --type raid1" "mhalf --type raid1" "mthree --type raid1 --mirrors 1" "mlogs --type linear"; do
	# shellcheck disable=SC2086
	mirrored try lv convert old/$become
	mirrored same mirrors.txt old/${become%% *} "as ${become#* }"
done
mirrored try lv rename old/mcore mkept
sed -i s/mcore/mkept/ mirrors.txt
mirrored same mirrors.txt old/mkept renamed
mv p1 h1 away
: >refused
while read -r name _; do
	if "$TENON" copy $name - >out 2>log; then
		same made.txt $name "without a PV"
	else
		grep -q 'parity was not made everywhere yet' log || { cat log; rig_fail "$name: not refused for its parity"; }
		echo $name >>refused
	fi
done <made.txt
"$TENON" copy vg/cfive - 2>&1 >out | grep -q 'was not stopped cleanly, and 1 of its members are missing since' ||
	rig_fail "nothing is said of what was being written"
mv p2 h2 away
for name in vg/csix half/six; do same made.txt $name "without two PVs"; done
mv away/?2 .

# dm-raid without the same PVs: what it refuses; then the others are written without them. One group is repaired, and the power goes.
cat >stale.sh <<'GUEST'
	vgchange -ay --activationmode degraded >/dev/null 2>&1
	for name in $(lvs --noheadings -o vg_name,lv_name --separator / 2>/dev/null); do
		[ -e /dev/$name ] || { echo $name >>/result/refused; continue; }
		echo "$name $(md5sum </dev/$name | cut -d ' ' -f 1)" >>/result/before
		dd if=/dev/urandom of=/dev/$name bs=64K count=20 conv=fsync,notrunc 2>/dev/null
		echo "$name $(md5sum </dev/$name | cut -d ' ' -f 1)" >>/result/after
	done
	vgchange -an vg
	lvm <<-COMMANDS
		lvchange --minrecoveryrate 1k --maxrecoveryrate 1k half
		lvconvert -y --repair half/one
		lvconvert -y --repair half/six
	COMMANDS
	lvs --noheadings -o vg_name,lv_name,sync_percent --separator / half 2>/dev/null | tr -d ' ' >/result/synced
	lvchange --driverloaded n --minrecoveryrate 0 --maxrecoveryrate 0 half # as above
	sync
GUEST
boot stale p0 p2 p3 p4 h0 h2 h3 h4 h5 h6
diff refused "$result/refused" || rig_fail "dm-raid refuses others"
diff <(sort "$result/before") <(grep -vFf refused made.txt | sort) || rig_fail "dm-raid reads otherwise without a PV"
cp "$result/after" after.txt
mv away/?1 .
[ "$(cat p? h? | digest)" != "$before" ] || rig_fail "dm-raid has written nothing"
"$TENON" lv list --json >listed 2>log
python3 - listed "$result/synced" <<'CHECK' || rig_fail "how much is in sync"
import json, sys
rows = {f'{row["vg"]}/{row["name"]}': row["synced_percent"] for row in json.load(open(sys.argv[1]))}
for line in open(sys.argv[2]):
    vg, name, theirs = line.strip().split("/")
    ours = rows[f"{vg}/{name}"]
    if not abs(ours - float(theirs)) < 20 or ours >= 100: exit(f"{vg}/{name}: {ours}, lvs said {theirs}")
CHECK
for name in $(cut -d ' ' -f 1 after.txt); do same after.txt $name "with a PV that slept"; done
for name in $(cat refused); do same made.txt $name "with the PV again"; done
# The group that was half repaired loses another PV.
rm h1 h2
for name in half/one half/six; do
	same after.txt $name "in the middle of a repair, with another PV gone"
	try lv repair $name
	same after.txt $name repaired
done
try vg reduce half --remove-missing --force
for name in $(cut -d ' ' -f 1 made.txt | grep vg/); do try lv repair $name; done

cat >judge.sh <<'GUEST'
	set -e
	lvchange --minrecoveryrate 1m --maxrecoveryrate 1g vg half
	vgchange -ay vg half
	names=$(lvs --noheadings -o vg_name,lv_name --separator / vg half)
	for name in $names; do echo "$name $(md5sum </dev/$name | cut -d ' ' -f 1)" >>/result/digests; done
	lvs --noheadings -o sync_percent,lv_health_status vg half | grep -v '100.00 *$' && exit 1
	lvchange --syncaction check $names
	until ! lvs --noheadings -o raid_sync_action vg half | grep -qv idle; do sleep 0.1; done
	lvs --noheadings --separator ' ' -o lv_name,raid_mismatch_count vg half >/result/mismatches
	vgchange -ay old
	raids=$(lvs --noheadings -o vg_name,lv_name --separator / -S segtype=raid1 old)
	until ! lvs --noheadings -o sync_percent,lv_health_status $raids | grep -qv '100.00 *$'; do sleep 0.1; done
	lvchange --syncaction check $raids
	until ! lvs --noheadings -o raid_sync_action $raids | grep -qv idle; do sleep 0.1; done
	lvs --noheadings --separator ' ' -o lv_name,raid_mismatch_count $raids >>/result/mismatches
	lvs --noheadings --separator ' ' -o lv_name,segtype old | sort >/result/types
	for name in $(lvs --noheadings -o lv_name old); do echo "old/$name $(md5sum </dev/old/$name | cut -d ' ' -f 1)" >>/result/mirrors; done
GUEST
boot judge p0 p1 p2 p3 p4 h0 h3 h4 h5 h6 m0 m1 m2
grep -v ' 0$' "$result/mismatches" && rig_fail "dm-raid finds differences"
diff <({ cat after.txt; grep -Ff refused made.txt; } | sort) <(sort "$result/digests") || rig_fail "dm-raid reads otherwise what was brought into line"
diff <(sort "$result/mirrors") <(sort mirrors.txt) || rig_fail "lvm2 reads otherwise what mirrors became"
diff <(tr -s ' ' <"$result/types") - <<'TYPES' || rig_fail "mirrors have become something else for lvm2"
 mdirty raid1
 mdisk raid1
 mhalf raid1
 mkept mirror
 mlogs linear
 msame mirror
 mthree raid1
TYPES
exit 0
