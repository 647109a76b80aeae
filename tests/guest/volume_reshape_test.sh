#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Reshapes of RAID volumes that tenon begins, with lvm2 and dm-raid as judges: `lv convert` is killed in the middle, or was through, or the power went
# after its commit, before superblocks said anything; dm-raid goes on, finds all sound and lvm2 lets go of images and room. What lvm2 has reshaped
# in turn tenon reads, lets go of and reshapes once more. One that is only committed dm-raid (6.1) begins when it is activated, and moves nothing until
# its table is loaded again, which lvm2 does itself when nothing has come in between: tenon goes on with it. Until then 6.12 makes a volume of fewer
# stripes shorter than it will be.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
disks=()
for i in 0 1 2 3 4 5; do
	truncate -s 96M p$i
	truncate -s 48M q$i
	disks+=(--disk p$i --disk q$i)
done
# NAME, how it is made, what it becomes, MiB that it has before and after, the type then, and what has happened to it when dm-raid has it.
cat >shapes <<'LIST'
re/more|--type raid5 --stripes 2 --size 24M|--stripes 3|24|raid5|killed
re/fewer|--type raid5 --stripes 3 --size 24M|--stripes 2 --force|16|raid5|killed
re/chunk|--type raid6 --stripes 3 --size 24M|--stripe-size 128K|24|raid6|killed
re/order|--type raid5 --stripes 3 --size 24M|--type raid5_n|24|raid5_n|killed
re/pairs|--type raid10 --stripes 2 --size 16M|--stripes 3|16|raid10|killed
re/four|--type raid4 --stripes 2 --size 8M|--stripes 3|8|raid4|through
re/less|--type raid5_n --stripes 3 --size 9M|--stripes 2 --force|6|raid5_n|let go
re/six|--type raid6_nc --stripes 3 --size 9M|--type raid6_n_6|9|raid6_n_6|let go
be/more|--type raid5 --stripes 2 --size 8M|--stripes 3|8|raid5|committed
be/fewer|--type raid5 --stripes 3 --size 9M|--stripes 2 --force|6|raid5|committed
be/order|--type raid5 --stripes 2 --size 8M|--type raid5_ra|8|raid5_ra|committed
be/pairs|--type raid10 --stripes 2 --size 8M|--stripes 3|8|raid10|committed
LIST
# shaped NAME: what it reads as, as far as it has that before and after.
shaped() {
	local size
	size=$(sed -n "s,^$1|[^|]*|[^|]*|\([0-9]*\)|.*,\1,p" shapes)
	"$TENON" copy $1 - 2>log | { head -c $((size << 20)); cat >/dev/null; } | digest
}
same() { [ "$(shaped $1)" = "$(sed -n "s,^$1 ,,p" sums)" ] || { cat log; rig_fail "$1 reads otherwise $2"; }; }
# cut COMMAND...: kills it once superblocks say that data were moved.
cat >cut.py <<'CUT'
import glob, struct, subprocess, sys
places = []
for name in glob.glob("p?"):
    disk = open(name, "rb", buffering=0)
    data = disk.read()
    places += [(disk, at + 60) for at in range(0, len(data), 4096) if data[at : at + 4] == b"DmRd"]
def look():
    found = [struct.unpack("<IQ", disk.read(12)) for disk, at in places if disk.seek(at)]
    return [position if flags & 1 else None for flags, position in found]
was = look()
begun = set()
command = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while command.poll() is None and len(begun) < 2:
    begun |= {now for old, now in zip(was, look()) if now is not None and old is None}
command.kill()
command.wait()
if len(begun) < 2: exit(f"nothing was moved: {begun}")
CUT
# The text of a group that was committed after the one with this number.
cat >text.py <<'TEXT'
import re, sys
data = open("q0", "rb").read(2 << 20)
for found in re.finditer(rb"(?<![a-z])be \{\nid = ", data):
    text = data[found.start() : data.index(b"\0", found.start())].decode()
    if int(re.search(r"seqno = (\d+)", text)[1]) == int(sys.argv[1]): sys.exit(sys.stdout.write(text) and 0)
exit("that text is not there")
TEXT
# slow NAME RATE: as `lvchange --maxrecoveryrate`, so that it can be killed in the middle.
slow() {
	"$TENON" pv dump --metadata p0 >text.txt 2>log || rig_fail "$(cat log)"
	python3 - "${1#re/}" "$2" <<'EDIT'
import re, sys
text = open("text.txt").read()
open("text.txt", "w").write(re.sub(rf"(?s)(\n\s*{sys.argv[1]} {{.*?)(region_size = )", rf"\1max_recovery_rate = {sys.argv[2]}\n\2", text, count=1))
EDIT
	try vg restore re --file text.txt --yes
}
seqno() { "$TENON" vg show be --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["seqno"])'; }

export TENON_DEVICES=
for i in 0 1 2 3 4 5; do TENON_DEVICES+=$WORK/p$i:$WORK/q$i:; done
try vg create re --extent-size 1M p?
try vg create be --extent-size 1M q?
while IFS='|' read -r name made become size type fate; do
	# shellcheck disable=SC2086
	{
		try lv create $name $made
		head -c "$("$TENON" lv show $name --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"])')" /dev/urandom >data
		try copy data $name --force
		try lv repair $name
		echo "$name $(shaped $name)" >>sums
		case $fate in
		killed)
			slow $name 4096
			python3 cut.py "$TENON" lv convert $name $become || rig_fail "$name is not reshaped"
			;;
		committed)
			number=$(seqno)
			mkdir before && cp --sparse=always q? before
			try lv convert $name $become
			python3 text.py $((number + 1)) >begun.txt
			mv before/q? . && rmdir before
			try vg restore be --file begun.txt --yes --force
			grep -q 'data_offset = ' begun.txt || rig_fail "$name is not to begin"
			;;
		*) try lv convert $name $become ;;
		esac
	}
	same $name "when it was $fate"
	if [ "$fate" = "let go" ]; then
		# Images, then the room.
		while "$TENON" lv convert $name $become >log 2>&1; do same $name "when something was let go"; done
		grep -q 'already' log || rig_fail "$name: $(cat log)"
	fi
done <shapes

cat >judge <<'GUEST'
	set -e
	idle() { until ! lvs --noheadings -o raid_sync_action,sync_percent $raids | grep -qv 'idle *100.00'; do sleep 0.2; done; }
	sums() { for name in $2; do
		size=$(sed -n "s,^$name|[^|]*|[^|]*|\([0-9]*\)|.*,\1,p" /root/shapes)
		has=$(($(blockdev --getsize64 /dev/$name) >> 20))
		[ $name != be/fewer ] || [ $has -ge $size ] || { size=$has; echo $has >/result/fewer; }
		echo "$name $(dd if=/dev/$name bs=1M count=$size 2>/dev/null | md5sum | cut -d ' ' -f 1)"
	done >/result/$1; }
	vgck re
	vgck be
	lvchange --maxrecoveryrate 0 $(sed -n 's,|.*killed$,,p' /root/shapes)
	vgchange -ay re be
	raids=$(sed -n 's,^\(re[^|]*\)|.*,\1,p' /root/shapes)
	all=$(sed 's,|.*,,' /root/shapes)
	idle
	sums first "$all"
	vgchange -an be
	lvchange --syncaction check $raids
	idle
	lvs --noheadings -o vg_name,lv_name,raid_mismatch_count,lv_health_status $raids >/result/mismatches
	lvs --noheadings --separator ' ' -o vg_name,lv_name,segtype,lv_size,stripes --units m $raids >/result/types
	# Images that are over, then the room; and then its own.
	lvconvert -y --stripes 2 re/fewer
	lvconvert -y --type raid5 re/fewer
	lvconvert -y --type raid10 re/pairs
	lvconvert -y --stripes 3 re/less
	lvconvert -y --type raid6_zr re/six
	lvconvert -y --stripes 2 --force re/more
	lvconvert -y --stripesize 32k re/four
	idle
	sums second "$raids"
	vgchange -an re
GUEST
rig_boot uml --name judged "${disks[@]}" --file shapes --with lvm2 --modules "$modules" --script judge
result=$(rig_results judged)
cp sums first
if [ -e "$result/fewer" ]; then
	[ "$(cat "$result/fewer")" -ge 4 ] || rig_fail "of be/fewer dm-raid has $(cat "$result/fewer") MiB"
	same be/fewer "when dm-raid has begun it"
	sed -i "s,^be/fewer .*,be/fewer $("$TENON" copy be/fewer - 2>log | { head -c "$(cat "$result/fewer")M"; cat >/dev/null; } | digest)," first
fi
diff <(sort first) <(sort "$result/first") || rig_fail "dm-raid reads otherwise"
grep -v ' 0 *$' "$result/mismatches" && rig_fail "dm-raid finds differences"
diff <(grep ^re sums | sort) <(sort "$result/second") || rig_fail "lvm2's conversions changed data"
while IFS='|' read -r name made become size type fate; do
	[ "$fate" = committed ] && { same $name "when dm-raid has begun it"; try lv repair $name; }
	[ "$fate" = committed ] || grep -q "^ *${name%/*} ${name#*/} $type " "$result/types" || rig_fail "$name: not $type: $(cat "$result/types")"
	same $name "when lvm2 has gone on with it"
done <shapes
# What lvm2 has left: an image of re/more, room before the data of others; and what is over here.
for name in "re/more --stripes 2" "re/more --stripes 2" "re/less --stripes 3" "re/chunk --stripe-size 128K" "re/order --type raid5_n" "re/four --stripe-size 32K" \
	"be/more --stripes 3" "be/fewer --stripes 2" "be/fewer --stripes 2" "be/order --type raid5_ra" "be/pairs --stripes 3"; do
	# shellcheck disable=SC2086
	try lv convert $name
	same ${name%% *} "when something was let go"
done
try lv convert re/order --type raid5_la
same re/order "when it was reshaped once more"
exit 0
