#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LVM's RAID volumes as lvm2 and dm-raid leave them when something happens: power cut in the first resync, while they are written, in the
# middle of a repair; never synchronized; a PV that slept through writes; two PVs gone. tenon starts those that dm-raid starts, reads the
# same, brings all images into line, and dm-raid finds no difference then.
# timeout: 900
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
boot() {
	local name=$1 disk disks=()
	shift
	for disk; do disks+=(--disk $disk); done
	rig_boot uml --deadline 300 --name $name "${disks[@]}" --with lvm2 --modules "$modules" --script $name.sh
	result=$(rig_results $name)
}
# same FILE NAME TEXT: the volume reads as FILE says.
same() { [ "$("$TENON" copy $2 - 2>log | digest)" = "$(sed -n "s,^$2 ,,p" $1)" ] || { cat log; rig_fail "$2 reads otherwise $3"; }; }
truncate -s 64M p0 p1 p2 p3 p4
truncate -s 32M h0 h1 h2 h3 h4 h5 h6
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
	lvchange -an half vg/ofive
	# The power goes while they are written, with what they have anyway.
	for name in cone cfive csix cten; do
		dd if=/dev/vg/$name of=/run/$name bs=64K count=32 2>/dev/null
		(while :; do dd if=/run/$name of=/dev/vg/$name bs=4K conv=notrunc oflag=direct 2>/dev/null; done) &
	done
	sleep 1
GUEST
boot made p0 p1 p2 p3 p4 h0 h1 h2 h3 h4 h5 h6
cp "$result/digests" made.txt
export TENON_DEVICES=$WORK/p?:$WORK/h?
before=$(cat p? h? | digest)
while read -r name _; do same made.txt $name whole; done <made.txt
[ "$(cat p? h? | digest)" = "$before" ] || rig_fail "who only reads has written"
mkdir away
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
	vgchange -ay
	names=$(lvs --noheadings -o vg_name,lv_name --separator /)
	for name in $names; do echo "$name $(md5sum </dev/$name | cut -d ' ' -f 1)" >>/result/digests; done
	lvs --noheadings -o sync_percent,lv_health_status | grep -v '100.00 *$' && exit 1
	lvchange --syncaction check $names
	until ! lvs --noheadings -o raid_sync_action | grep -qv idle; do sleep 0.1; done
	lvs --noheadings --separator ' ' -o lv_name,raid_mismatch_count >/result/mismatches
GUEST
boot judge p0 p1 p2 p3 p4 h0 h3 h4 h5 h6
grep -v ' 0$' "$result/mismatches" && rig_fail "dm-raid finds differences"
diff <({ cat after.txt; grep -Ff refused made.txt; } | sort) <(sort "$result/digests") || rig_fail "dm-raid reads otherwise what was brought into line"
exit 0
