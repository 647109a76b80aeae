#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Volumes that get other types and numbers of images, both ways: what tenon makes of its volumes dm-raid activates, fills and finds sound, also
# where the command was killed as soon as it was committed; lvm2 converts these on, and tenon reads what came of it. Beside them reshapes that lvm2
# began and the power cut: tenon reads them in the middle, with a PV missing too, and goes on; where it is killed in the middle dm-raid goes on.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
disks=()
for i in 0 1 2 3 4 5; do
	truncate -s 128M p$i
	disks+=(--disk p$i)
done
export TENON_DEVICES=$WORK/p?
# NAME, how it is made, what it becomes here (killed: at once), the type then; and what lvm2 makes of that, with the type.
cat >ways <<'LIST'
la|--size 4M|--mirrors 1|raid1|-m 2|raid1
lb|--size 24M|--mirrors 2 killed|raid1|-m 0|linear
lc|--type raid1 --mirrors 2 --size 4M|--mirrors 0|linear|--type raid1 -m 1|raid1
ld|--type raid1 --mirrors 1 --size 4M|--mirrors 2 killed|raid1|-m 1|raid1
le|--type raid1 --mirrors 3 --size 4M|--mirrors 1|raid1||raid1
sa|--stripes 2 --size 4M|--type raid0|raid0|--type raid5_n|raid5_n
sb|--stripes 3 --size 24M|--type raid5 killed|raid5_n|--type striped|striped
sc|--stripes 3 --size 6M|--type raid6|raid6_n_6|--type raid5_n|raid5_n
sd|--stripes 2 --size 4M|--type raid10|raid10|--type raid0|raid0
se|--stripes 3 --size 4M|--type raid4|raid4|--type raid0_meta|raid0_meta
ra|--type raid5 --stripes 3 --size 6M|--type raid6 killed|raid6_ls_6|--type raid5_ls|raid5_ls
rb|--type raid5_n --stripes 3 --size 6M|--type raid4|raid4||raid4
rc|--type raid5_n --stripes 2 --size 4M|--type striped|striped|--type raid0|raid0
rd|--type raid6_n_6 --stripes 3 --size 6M|--type raid5|raid5_n||raid5_n
re|--type raid10 --stripes 2 --size 4M|--type striped|striped||striped
ma|--type raid1 --mirrors 1 --size 4M|--type raid5|raid5|--type raid1|raid1
pa|--type raid6 --stripes 3 --size 6M|replaced|raid6||raid6
LIST
# What lvm2 leaves in the middle of a reshape. Whoever reads the end of a volume that grows waits there until it is over (dm-raid has no such
# sectors yet): so nothing is read once one has begun. KIND, how it is made, how it is reshaped, MiB that it has in the end.
cat >shapes <<'LIST'
more|--type raid5_ls -i 2 -L 16M|--stripes 3|16
order|--type raid5_ls -i 3 -L 18M|--type raid5_n|18
chunk|--type raid6_zr -i 3 -L 18M|--stripesize 128k|18
fewer|--type raid5_ls -i 3 -L 18M|--stripes 2 --force|12
pairs|--type raid10 -i 2 -m 1 -L 16M|--stripes 3|16
LIST
cat >begin <<'GUEST'
	set -e
	vgcreate -s 1M re $DISKS >/dev/null
	lvcreate -y --type raid0 -i 3 -L 6M -n zero re
	lvcreate -y --type raid0_meta -i 2 -L 6M -n meta re
	while IFS='|' read -r name made _; do lvcreate -y $made -n $name re; done </root/shapes
	until ! lvs --noheadings -o sync_percent re | grep -qv '100.00\|^ *$'; do sleep 0.1; done
	for name in $(lvs --noheadings -o lv_name re); do
		dd if=/dev/urandom of=/dev/re/$name bs=64K conv=fsync 2>/dev/null || :
		size=$(sed -n "s/^$name|.*|//p" /root/shapes)
		echo "$name $(dd if=/dev/re/$name bs=1M count=${size:-99} 2>/dev/null | md5sum | cut -d ' ' -f 1)" >>/result/sums
	done
	# Slow enough that none is over before it is looked at, however busy the machine is. Those that are killed here later are slow here, too.
	# The power cuts them: dm-raid's message "frozen" may have the end of a reshape said of one that was only stopped (6.1: its thread is reaped
	# twice, without a lock, and the second time nothing tells that it was interrupted).
	echo 1 >/proc/sys/dev/raid/speed_limit_min
	echo 128 >/proc/sys/dev/raid/speed_limit_max
	lvchange --minrecoveryrate 1k --maxrecoveryrate 128k re/more re/chunk re/pairs
	while IFS='|' read -r name _ change _; do lvconvert -y $change re/$name </dev/null; done </root/shapes
	while IFS='|' read -r name _; do
		# Once it is through an eighth of it.
		while :; do
			set -- $(dmsetup status --noflush re-$name)
			[ $((8 * ${7%/*})) -lt ${7#*/} ] || break
			sleep 0.05
		done
	done </root/shapes
GUEST
reshaped=()
for i in 0 1 2 3 4 5; do
	truncate -s 64M r$i
	reshaped+=(--disk r$i)
done
rig_boot uml --name begun "${reshaped[@]}" --with lvm2 --with dmsetup --modules "$modules" --file shapes --script begin
sort "$(rig_results begun)/sums" >sums.txt
# reshaped NAME: its first bytes, as many as it has in the end and had before.
shaped() {
	local size
	size=$(sed -n "s/^$1|.*|//p" shapes)
	TENON_DEVICES=$WORK/r? "$TENON" copy re/$1 - 2>log | { head -c $((${size:-99} << 20)); cat >/dev/null; } | digest
}
same_shaped() { [ "$(shaped $1)" = "$(sed -n "s/^$1 //p" sums.txt)" ] || { cat log; rig_fail "$1 reads otherwise $2"; }; }
# cut COMMAND...: kills it once it has moved a reshape on, in the middle unless the machine is very busy. Without a command it says how many there are.
cat >cut.py <<'CUT'
import struct, subprocess, sys
disk = open("r0", "rb", buffering=0)
data = disk.read()
places = [at + 60 for at in range(0, len(data), 4096) if data[at : at + 4] == b"DmRd" and struct.unpack_from("<I", data, at + 60)[0] & 1]
def look():
    return [struct.unpack("<IQ", disk.read(12)) for at in places if disk.seek(at)]
was = look()
if not sys.argv[1:]: sys.exit(print(sum(position > 0 for flags, position in was)))
command = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
while command.poll() is None and look() == was: pass
command.kill()
command.wait()
if look() == was: exit(f"nothing was moved: {was}")
CUT
[ "$(python3 cut.py)" -gt 2 ] || rig_fail "only $(python3 cut.py) are in the middle"
before=$(cat r? | digest)
while read -r name _; do same_shaped $name "in the middle of its reshape"; done <sums.txt
mv r1 away
while IFS='|' read -r name _; do same_shaped $name "in the middle, without a PV"; done <shapes
mv away r1
[ "$(cat r? | digest)" = "$before" ] || rig_fail "who only reads has written"
# Two go to their end here; the others are killed once they have moved on.
for name in order fewer; do
	TENON_DEVICES=$WORK/r? try lv repair re/$name
	same_shaped $name "when its reshape is over"
done
for name in more chunk pairs; do
	TENON_DEVICES=$WORK/r? python3 cut.py "$TENON" lv repair re/$name || rig_fail "$name is not reshaped"
	same_shaped $name "killed in the middle"
done
for name in zero meta; do
	TENON_DEVICES=$WORK/r? "$TENON" copy re/$name data --force
	TENON_DEVICES=$WORK/r? try copy data re/$name --force
done
try vg create vg --extent-size 1M p?
while IFS='|' read -r name made become type _; do
	# shellcheck disable=SC2086
	try lv create vg/$name $made
	head -c "$("$TENON" lv show vg/$name --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"])')" /dev/urandom >data
	try copy data vg/$name
	"$TENON" lv repair vg/$name >log 2>&1 || :
	echo "$name $(digest <data)" >>made.txt
	case $become in
	replaced) try lv convert vg/$name --replace "$("$TENON" lv show vg/${name}_rimage_0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["segments"][0]["areas"][0].rpartition("(")[0])')" ;;
	*killed)
		# shellcheck disable=SC2086
		"$TENON" lv convert vg/$name ${become% killed} >out 2>log &
		pid=$!
		until grep -q 'is raid' log || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
		kill -9 $pid 2>/dev/null || :
		wait $pid 2>/dev/null || :
		;;
	*)
		# shellcheck disable=SC2086
		try lv convert vg/$name $become
		;;
	esac
	[ "$("$TENON" lv list vg --json | python3 -c 'import json, sys; print(next(v["type"] for v in json.load(sys.stdin) if v["name"] == sys.argv[1]))' $name)" = $type ] ||
		rig_fail "$name is no $type"
	[ "$("$TENON" copy vg/$name - | digest)" = "$(digest <data)" ] || rig_fail "$name reads otherwise"
done <ways

cat >judge <<'GUEST'
	set -e
	sums() { for name in $(lvs --noheadings -o lv_name vg); do echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)"; done >/result/$1; }
	idle() { until ! lvs --noheadings -o sync_percent vg | grep -qv '100.00\|^ *$'; do sleep 0.2; done; }
	vgchange -ay vg
	idle
	sums before
	raids=$(lvs --noheadings -o vg_name,lv_name --separator / -S 'segtype=~raid[14561]&&segtype!~raid0' vg)
	lvchange --syncaction check $raids
	until ! lvs --noheadings -o raid_sync_action $raids | grep -qv idle; do sleep 0.2; done
	lvs --noheadings -o lv_name,raid_mismatch_count,lv_health_status $raids >/result/mismatches
	while IFS='|' read -r name made become type theirs then; do
		[ -z "$theirs" ] || lvconvert -y $theirs vg/$name || echo $name >>/result/failed
	done </root/ways
	idle
	lvs --noheadings -o lv_name,segtype vg >/result/types
	sums after
	vgchange -an vg
	lvchange --minrecoveryrate 0 --maxrecoveryrate 0 re/more re/chunk re/pairs
	vgchange -ay re
	raids=$(sed 's,|.*,,; s,^,re/,' /root/shapes)
	until ! lvs --noheadings -o raid_sync_action,sync_percent $raids | grep -qv 'idle *100.00'; do sleep 0.2; done
	for name in $(lvs --noheadings -o lv_name re); do
		size=$(sed -n "s/^$name|.*|//p" /root/shapes)
		echo "$name $(dd if=/dev/re/$name bs=1M count=${size:-99} 2>/dev/null | md5sum | cut -d ' ' -f 1)" >>/result/shaped
	done
	lvchange --syncaction check $raids
	until ! lvs --noheadings -o raid_sync_action $raids | grep -qv idle; do sleep 0.2; done
	lvs --noheadings -o lv_name,raid_mismatch_count,lv_health_status $raids >>/result/mismatches
	lvconvert -y --stripes 2 re/fewer
	lvs --noheadings -o lv_name,stripes,lv_size re/fewer >/result/fewer
	# Takes the room back.
	lvconvert -y --type raid10 re/pairs
	lvconvert -y --type raid5_n re/order
GUEST
rig_boot uml --name judged "${disks[@]}" "${reshaped[@]}" --file shapes --with lvm2 --modules "$modules" --file ways --script judge
result=$(rig_results judged)
diff <(sort made.txt) <(sort "$result/before") || rig_fail "dm-raid reads otherwise"
grep -v ' 0 *$' "$result/mismatches" && rig_fail "dm-raid finds differences"
diff <(sort made.txt) <(sort "$result/after") || rig_fail "lvm2's conversions changed data"
diff sums.txt <(sort "$result/shaped") || rig_fail "dm-raid reads otherwise what was reshaped"
tr -s ' ' <"$result/fewer" | grep -qx ' fewer 3 12.00m' || rig_fail "lvm2 does not let go of the image that is over: $(cat "$result/fewer")"
for name in fewer pairs order chunk; do same_shaped $name "when lvm2 has gone on with it"; done
! [ -e "$result/failed" ] || { cat "$result/failed"; rig_fail "lvm2 did not convert these"; }
while IFS='|' read -r name _ _ _ _ type; do
	grep -q "^ *$name  *$type *$" "$result/types" || rig_fail "$name: not $type: $(cat "$result/types")"
	[ "$("$TENON" copy vg/$name - 2>log | digest)" = "$(sed -n "s/^$name //p" made.txt)" ] || { cat log; rig_fail "$name reads otherwise what lvm2 made of it"; }
done <ways
exit 0
