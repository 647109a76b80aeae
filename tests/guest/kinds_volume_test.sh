#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Groups of the real lvm2 that are seldom met: a small metadata ring that has wrapped often, PVs without metadata,
# groups that are exported, partial, shared or of another host, volume types that tenon does not open beside
# ones that it does, groups across md arrays. Read and changed by the command line, and given back.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
failed=0
problem() { echo "kinds: $*"; failed=1; }
# refused PATTERN WORD...: exit status 1, with these words, and no disk changed.
refused() {
	local pattern=$1 rc=0 before
	shift
	before=$(stat -c '%n %y' ./*/d*.img)
	"$TENON" "$@" >log 2>&1 || rc=$?
	[ $rc = 1 ] || problem "'$*' gave $rc: $(cat log)"
	grep -Eq -- "$pattern" log || problem "'$*' said: $(cat log); expected: $pattern"
	[ "$before" = "$(stat -c '%n %y' ./*/d*.img)" ] || problem "'$*' changed a disk"
}
does() { "$TENON" "$@" >log 2>&1 || problem "'$*': $(cat log)"; }
json() {
	local expression=$1
	shift
	"$TENON" "$@" --json >log 2>&1 || problem "'$*': $(cat log)"
	python3 -c "import json; d = json.load(open('log')); exit(not ($expression))" || problem "'$*': not so: $expression: $(cat log)"
}
# reads DIRECTORY [NAME...]: what LOGICAL says of these, or all, is what is read.
reads() {
	local dir=$1 name bytes md5 found
	while read -r name bytes md5; do
		[ -z "${2-}" ] || [[ " ${*:2} " == *" $name "* ]] || continue
		found=$("$TENON" copy "$name" - 2>log | md5sum)
		[ "${found%% *}" = "$md5" ] || problem "$name: reads otherwise. $(cat log)"
	done <"$dir/LOGICAL"
}

rig_make_lvm k "16M 16M 16M 16M 16M 16M 8M 16M 16M 16M 16M" '
	LAST=; for d in $DISKS; do eval "p$((n = ${n:-0} + 1))=$d"; done
	mdadm --create /dev/md0 --run --level=1 --name=below --homehost=any --metadata=1.0 --bitmap=none --raid-devices=2 $p8 $p9 2>&1
	# One process for all: a ring that holds little, odd extents, metadata on one of two PVs; the smallest
	# extents, two stripes, a gap; types that are not opened, with one beside them that is; a group on an array;
	# a group of which a part will be missing; a PV of no group.
	lvm <<-COMMANDS
		pvcreate --metadatasize 32k --dataalignment 96k $p1
		pvcreate --metadatacopies 0 --dataalignmentoffset 7s $p2
		vgcreate -s 384k ring $p1 $p2
		lvcreate -y -l 20 -n first.volume ring
		lvcreate -y -l 30 -n second-volume ring
		lvchange --addtag tag.with.a.long.name.for.the.ring.1 ring/first.volume
		lvchange --addtag tag.with.a.long.name.for.the.ring.2 ring/first.volume
		lvchange --addtag tag.with.a.long.name.for.the.ring.3 ring/first.volume
		lvchange --addtag tag.with.a.long.name.for.the.ring.4 ring/first.volume
		lvchange --addtag tag.with.a.long.name.for.the.ring.5 ring/first.volume
		vgcreate -s 1k tiny $p3 $p4
		lvcreate -y -l 1001 -n o_d+d tiny
		lvcreate -y -l 100 -n gap tiny
		lvcreate -y -i 2 -I 4k -l 4000 -n stripes tiny
		lvremove -y tiny/gap
		lvextend -l +333 tiny/o_d+d
		vgcreate -s 64k types $p5 $p6
		lvcreate -y -l 20 -n plain types
		lvcreate -y --type mirror -m 1 -l 10 --mirrorlog core --nosync -n mir types
		lvcreate -y --type raid1 -m 1 --nosync -l 10 -n mirrored types
		vgcreate -s 128k upper-group /dev/md0
		lvcreate -y -l 40 -n on-md upper-group
		vgcreate -s 128k part $p10 $p11
		lvcreate -y -l 20 -n here part $p10
		lvcreate -y -l 20 -n there part $p11
		lvcreate -y -l 130 -n across part
		pvchange -xn $p10
		pvcreate $p7
	COMMANDS
	# filled
	vgcfgbackup -f /result/types types'

export TENON_DEVICES=$WORK/k/d*.img
json 'len(d) == 5' vg list
json 'len(d) == 10' pv list
json 'len([l for l in d if l["vg"] == "types"]) == 3' lv list
for i in 0 1 2 3 4 5 6; do does pv check k/d$i.img; done
reads k ring/first.volume ring/second-volume tiny/o_d+d tiny/stripes types/plain types/mir upper-group/on-md part/here part/there part/across
head -c 4096 /dev/zero >out
refused 'types/mir: opens for reading only' copy out types/mir
for i in 7 8; do
	(TENON_DEVICES=$WORK/k/d$i.img reads k upper-group/on-md; exit $failed) || problem "on the array without the other of 7 and 8"
done
does raid check below
# Without the PV that has the metadata, and without one that has none.
refused 'ring' copy --device k/d1.img ring/first.volume out
json 'd["partial"]' vg show ring --device k/d0.img
refused 'missing' lv create --device k/d0.img ring/x --size 1M
(TENON_DEVICES=$WORK/k/d9.img reads k part/here; exit $failed) || problem "a volume whose PV is there"
refused 'part/there.*missing|missing.*part/there' copy --device k/d9.img part/there out
refused 'part/across.*missing|missing.*part/across' copy --device k/d9.img part/across out

# Changed in each group, the ring often enough to wrap and to become too small at last.
for i in 1 2 3 4 5 6 7 8; do
	does lv create ring/n$i --size 400K
	does lv remove ring/n$i
done
does lv create ring/third --size 3M
does lv create tiny/new --size 33K
does lv create types/beside --size 1M
does lv remove types/plain
does lv create upper-group/late --size 1M
does lv create part/late --size 256K
json 'd["segments"][0]["areas"][0].find("d10.img") > 0' lv show part/late
cp -r k full
n=0
while "$TENON" lv create --device full/d0.img --device full/d1.img ring/$(printf 'long.name.%0100d' $n) --size 1K >log 2>&1; do
	n=$((n + 1)); [ $n -lt 60 ] || break
done
grep -Eq 'metadata|free' log || problem "a ring that is full: $(cat log)"
does pv check full/d0.img
does copy --device full/d0.img --device full/d1.img ring/second-volume out
rm -rf full
head -c 800000 /dev/urandom >data
for lv in ring/third tiny/new types/beside upper-group/late part/late; do
	truncate -s "$("$TENON" lv show $lv --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"])')" data
	does copy data $lv
	echo "$lv $(stat -c %s data) $(md5sum <data | cut -d ' ' -f 1)" >>ours
done
"$TENON" pv dump k/d4.img --metadata >types.now 2>log || problem "dump: $(cat log)"
# lv_text LV FILE: its section, without comments and white space.
lv_text() { sed -n "s/^[ \t]*//; s/[ \t]*#.*//; /^$1 {/,/^type/p" "$2" | grep . | sort; }
for lv in mir mirrored mirrored_rimage_0 mirrored_rmeta_1; do
	diff <(lv_text $lv types.now) <(lv_text $lv "$(rig_results k.maker)/types") >log ||
		problem "the text of $lv is another: $(cat log)"
done
EXTRA='lvchange -y --addtag there ring/third' \
	rig_judge back k/d{0,1,2,3,4,5,7,8,9,10}.img || problem "not taken by lvm2"
sort ours k/LOGICAL | grep -v types/plain | diff - <(sort back/LOGICAL) || problem "lvm2 reads something else"
does pv check k/d0.img k/d4.img
json '"there" in d["tags"]' lv show ring/third

# States of groups.
rig_boot uml --name states --with lvm2 $(printf -- '--disk k/d%s.img ' 0 1 2 3 4 5 9 10) --script - <<-'GUEST' || problem "states"
	lvm <<-COMMANDS
		vgexport ring
		lvchange --setactivationskip y part/across
		lvchange -pr part/here
	COMMANDS
	GUEST
refused 'export' lv create ring/x --size 1M
does copy ring/third out
refused 'read-only' copy data part/here
does copy part/across out
[ $failed = 0 ] || rig_fail "see above"
echo "5 groups of seldom kinds"
