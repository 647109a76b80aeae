#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The real lvm2 tools on loop devices, both ways: what we write they accept, check and change, and we
# change it again; what they write, with every layout option and dozens of commits in a small metadata
# area, we read the same as they do.
set -eu
cd "$(dirname "$0")/../.."
volume=$(pwd)/${BUILD:-build}/tests/helpers/volume
[ -x "$volume" ] || { echo "$volume is not built"; exit 77; }
for tool in lvm losetup; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "lvm2 wants root"; exit 77; }
losetup -f >/dev/null 2>&1 || { echo "there are no loop devices here"; exit 77; }

work=$(mktemp -d)
loops=()
cleanup() {
	detach
	rm -rf "$work"
}
detach() {
	[ ${#loops[@]} = 0 ] || losetup -d "${loops[@]}"
	loops=()
}
trap cleanup EXIT
cd "$work"
fail() { echo "failed: $*"; exit 1; }

# Files become loop devices L0, L1, ... for lvm2; detach gives them back to us.
attach() {
	local file
	for file; do loops+=("$(losetup -f --show "$file")"); done
}
export LVM_SUPPRESS_FD_WARNINGS=1
l() { # an lvm2 command: silent if it succeeds
	local filter= loop
	for loop in "${loops[@]}"; do filter="$filter\"a|^$loop\$|\","; done
	lvm "$@" --driverloaded n --config "
		devices { dir=\"/dev\" scan=[\"/dev\"] use_devicesfile=0 filter=[$filter\"r|.*|\"]
			obtain_device_list_from_udev=0 external_device_info_source=\"none\"
			sysfs_scan=0 md_component_detection=0 }
		activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
		backup { backup=0 archive=0 } global { event_activation=0 use_lvmpolld=0 }" \
		>out 2>err || { cat err; fail "lvm $*"; }
	! grep -v "Activation disabled\|NOT backed up\|not zeroed\|check for active volumes${LVM_STALE:+\|old metadata\|Inconsistent metadata\|vgck --updatemetadata\|ignoring metadata seqno\|updating old metadata}" err | grep -i warning ||
		fail "lvm $* warned"
}
v() { "$volume" "$@" >said 2>&1 || { cat said; fail "volume $*"; }; }

# The same lines from both: volumes with their sizes and segments, then what is free.
ours() {
	"$volume" show "$@" | awk '
		/^lv / { name = $2 }
		/^segment / { split($2, s, "+"); line = name " " s[1] " " s[2]
			for (i = 4; i <= NF; i++) line = line " " $i
			print line }
		/^vg / { print "free " substr($7, 6) }' | sort
}
theirs() { # their devices are named by PV uuid, ours by pv0, pv1: both become the disk's number
	local i
	l lvs -a --noheadings --units b --nosuffix -o lv_name,seg_start_pe,seg_size_pe,devices --segments
	awk '{ n = split($4, d, ","); line = $1 " " $2 " " $3
		for (i = 1; i <= n; i++) { sub(/\(/, ":", d[i]); sub(/\)/, "", d[i]); line = line " " d[i] }
		print line }' out >listed
	l vgs --noheadings -o vg_free_count
	awk '{ print "free " $1 }' out >>listed
	for i in "${!loops[@]}"; do sed -i "s|${loops[i]}:|disk$i:|g" listed; done
	sort listed
}
same() { # WHAT FILE...: both see the same
	local what=$1 file i=0
	shift
	theirs >theirs.txt
	detach
	ours "$@" >ours.txt
	for file; do
		name=$("$volume" show "$@" | awk -v f="$file" '/^pv / && $4 == f { print $2 }')
		sed -i "s| $name:| disk$i:|g" ours.txt
		i=$((i + 1))
	done
	diff theirs.txt ours.txt || fail "$what: lvm2 and we differ"
	"$volume" check "$@" >checked || { cat checked; fail "$what: check"; }
}

# --- We make it, they check and change it, we change it again, they check again.
for options in "" "TENON_EXTENT=131072 TENON_ALIGN=262144" "TENON_EXTENT=1048576 TENON_MDAS=2 TENON_MDASIZE=65536"; do
	rm -f a b; truncate -s 64M a; truncate -s 96M b
	env $options "$volume" create vg-x.1 a b
	v lvcreate vg-x.1/lv-one 7 a b
	v lvcreate vg-x.1/str 8:2 a b
	v lvcreate vg-x.1/gone 3 a b
	for file in a b; do
		pvck --driverloaded n --dump headers $file >out 2>err || fail "pvck $file"
		# A UUID may spell anything.
		! grep -v pv_uuid out err | grep -qi 'bad\|wrong\|fail\|mismatch' || { cat out err; fail "pvck $file"; }
	done
	attach a b
	l vgck vg-x.1; l pvck "${loops[0]}"
	l pvs --noheadings -o pv_mda_count,pe_start --units b
	same "made by us ($options)" a b
	attach a b
	l lvremove -y vg-x.1/gone
	l lvcreate -an -Zn -Wn -l 2 -n third vg-x.1
	l lvextend -l +4 vg-x.1/lv-one
	l lvchange --addtag tag.1 vg-x.1/str
	same "changed by them" a b
	v lvresize vg-x.1/third 40000000 a b
	v lvrename vg-x.1/third vierte.4 a b
	v lvresize vg-x.1/lv-one 1 a b
	v lvremove vg-x.1/str a b
	attach a b
	l vgck vg-x.1
	same "changed by us again" a b
	attach a b
	l lvremove -y vg-x.1/lv-one vg-x.1/vierte.4
	l vgexport vg-x.1
	detach
	"$volume" lvcreate vg-x.1/no 1 a b 2>said && fail "an exported group was changed"
	grep -q exported said || fail "$(cat said)"
	attach a b; l vgimport vg-x.1; detach
	v vgremove vg-x.1 a b
	attach a b; l vgcreate again "${loops[@]}"; same "made by them on our PVs" a b
done

# --- They make it: layouts.
truncate -s 40M p0 p1 p2
try() { # WHAT PVCREATE-OPTIONS for each disk, separated by |
	local what=$1 i=0 options
	rm -f p0 p1 p2; truncate -s 40M p0 p1 p2
	attach p0 p1 p2
	while read -r -d '|' options; do
		l pvcreate -y $options "${loops[i]}"
		i=$((i + 1))
	done <<<"$2|"
	l vgcreate -s 1m t "${loops[@]}"
	l lvcreate -an -Zn -Wn -l 60 -n big t
	l lvcreate -an -Zn -Wn -l 4 -i 2 -I 8 -n str t
	same "$what" p0 p1 p2
	v lvcreate t/ours 3 p0 p1 p2
	v lvremove t/str p0 p1 p2
	attach p0 p1 p2
	l vgck t
	same "$what, changed by us" p0 p1 p2
}
try "label sectors" "--labelsector 0|--labelsector 2|--labelsector 3"
try "metadata copies" "--metadatacopies 0|--metadatacopies 2|--metadatacopies 1"
try "ignored" "--metadataignore y|--metadatacopies 2|--metadataignore y"
try "alignment" "--dataalignment 64k|--dataalignment 3m|--dataalignment 1m --dataalignmentoffset 7s"
try "bootloader area" "--bootloaderareasize 2m|--bootloaderareasize 256k --metadatacopies 2|"

# --- Dozens of commits in a ring of few sectors, by both in turn.
rm -f p0 p1; truncate -s 40M p0 p1
attach p0 p1
l pvcreate -y --metadatasize 40k --dataalignment 4k "${loops[@]}"
l vgcreate -s 128k --addtag t1 r "${loops[@]}"
for i in $(seq 12); do
	l lvcreate -an -Zn -Wn -l $((i + 2)) -n "lv$i" r
	[ $((i % 3)) = 0 ] && l lvremove -y "r/lv$((i - 1))"
	if [ $((i % 4)) = 0 ]; then
		same "ring after $i" p0 p1
		v lvcreate "r/o$i" $i p0 p1
		v lvrename "r/o$i" "our-$i" p0 p1
		attach p0 p1
		l vgck r
	fi
done
same "ring" p0 p1
dump=$("$volume" dump p0)
echo "$dump" | grep -q 'committed: offset' || fail "no committed text"

# --- PVs that disagree: one slept through a change. Both take the newest, and mend the other with the next.
for who in them us; do
	rm -f d0 d1; truncate -s 40M d0 d1
	attach d0 d1
	l vgcreate -s 1m d "${loops[@]}"
	l lvcreate -an -Zn -Wn -l 2 -n first d
	detach
	head -c 1M d1 >asleep
	v lvcreate d/second 3 d0 d1
	dd if=asleep of=d1 conv=notrunc status=none
	"$volume" show d0 d1 | grep -q '^problem d1: the metadata area .* the next change repairs it' ||
		fail "a stale area was not noticed"
	attach d0 d1
	LVM_STALE=1 l lvs --noheadings -o lv_name d
	[ "$(tr -d ' \n' <out)" = firstsecond ] || { cat out; fail "lvm2 takes the older metadata"; }
	if [ $who = them ]; then
		LVM_STALE=1 l lvcreate -an -Zn -Wn -l 1 -n third d
	else
		detach
		v lvcreate d/third 1 d0 d1
		attach d0 d1
	fi
	l vgck d
	same "a PV that slept, mended by $who" d0 d1
	! "$volume" show d0 d1 | grep ^problem || fail "the stale area stayed, with $who"
done

# --- A group that is only partly there, and a PV twice.
cp p0 copy
"$volume" show p0 p1 copy | grep -q 'is on p0 and on copy' || fail "a copy was not noticed"
"$volume" show p0 | grep -q '^problem PV .* is missing' || fail "a missing PV was not noticed"
"$volume" lvcreate r/n 1 p0 2>said && fail "a partial group has a new volume"
grep -q 'missing' said || fail "a partial group: $(cat said)"

# --- An array of ours or of theirs is kept through a change of ours.
rm -f p0 p1; truncate -s 40M p0 p1
attach p0 p1
l pvcreate -y "${loops[@]}"
l vgcreate -s 1m x "${loops[@]}"
l vgcfgbackup -f backup x
python3 - <<'PYTHON'
import re
text = open("backup").read()
def lv(number, name, visible, segment):
    ident = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-%06d" % number
    status = '["READ", "WRITE"%s]' % (', "VISIBLE"' if visible else "")
    return '%s { id = "%s" status = %s flags = [] segment_count = 1 segment1 { start_extent = 0 %s } }\n' % (
        name, ident, status, segment)
def linear(pv, at, count):
    return 'extent_count = %d type = "striped" stripe_count = 1 stripes = [ "%s", %d ]' % (count, pv, at)
lvs = "logical_volumes {\n"
lvs += lv(1, "r", True, 'extent_count = 4 type = "raid1" device_count = 2 region_size = 1024 '
          'raids = [ "r_rmeta_0", "r_rimage_0", "r_rmeta_1", "r_rimage_1" ]')
lvs += lv(2, "plain", True, linear("pv0", 10, 2))
for i in range(2):
    lvs += lv(3 + i, "r_rmeta_%d" % i, False, linear("pv%d" % i, 0, 1))
    lvs += lv(5 + i, "r_rimage_%d" % i, False, linear("pv%d" % i, 1, 4))
text = re.sub(r"\n}\s*$", "\n" + lvs + "}\n}\n", text.rstrip())
open("backup", "w").write(text)
PYTHON
l vgcfgrestore --force -f backup x
detach
"$volume" show p0 p1 | grep -q '^lv r .*type=raid1' || fail "raid1 is not listed"
"$volume" lvread x/r p0 p1 2>said | cmp -n 4194304 - /dev/zero || fail "raid1 reads otherwise: $(cat said)"
v lvresize x/plain 9999999 p0 p1
attach p0 p1
l vgck x
l lvs -a --noheadings -o lv_name,segtype
[ "$(grep -c 'raid1\|linear' out)" = 6 ] || { cat out; fail "types after our change"; }
detach
exit 0
