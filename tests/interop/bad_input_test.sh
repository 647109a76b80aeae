#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bad input, as people give it: files of the wrong kind, damaged and foreign images, names of every sort, one
# device twice, devices in use, places without room or permission. Each gets one message and exit status 1, and
# nothing changes on any image.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
here=$PWD/tests/interop
for tool in python3 mke2fs mkswap; do
	PATH=$PATH:/sbin:/usr/sbin command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
PATH=$PATH:/sbin:/usr/sbin
work=$(mktemp -d) || exit 1
others=()
cleanup() {
	local pid
	for pid in ${others[@]+"${others[@]}"}; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/devices TENON_DEVICES=
failures=0

problem() { echo "FAILED line ${BASH_LINENO[1]}: $*"; failures=$((failures + 1)); }
expect() {
	local status=$1 pattern=$2 rc out
	shift 2
	out=$(timeout 60 "$@" 2>&1)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $out"
	grep -Eqa -- "$pattern" <<<"$out" || problem "'$*' said: $out; expected: $pattern"
	case $out in *Sanitizer* | *"runtime error"*) problem "'$*': $out" ;; esac
}
images() { find . -name '*.img' -type f -printf '%p %s %T@\n' | sort; }
refused() {
	local pattern=$1 before
	shift
	before=$(images)
	expect "${status:-1}" "$pattern" "$@"
	[ "$(images)" = "$before" ] || problem "'$*' changed an image: $(diff <(echo "$before") <(images))"
}
json() {
	local expression=$1 out
	shift
	out=$("$@" 2>/dev/null)
	python3 -c "
import json, sys
d = json.loads(sys.argv[1])
sys.exit(0 if ($expression) else 1)" "$out" || problem "'$*': not so: $expression: $out"
}
# array NAME FILE...: a small array. group NAME FILE: a small group with the volumes x and y.
array() { truncate -s 8M "${@:2}" && $TENON raid create "$1" --level 1 --bitmap internal "${@:2}" --force 2>/dev/null; }
group() {
	truncate -s 8M "$2" && $TENON vg create "$1" --extent-size 128K "$2" &&
		$TENON lv create --device "$2" "$1/x" --size 1M && $TENON lv create --device "$2" "$1/y" --size 1M
}
array r a.img b.img
group vg p.img

# A list of devices that cannot be read is no empty list, and is not replaced by one.
mkdir list
TENON_DEVICES_FILE=$work/list refused 'list: reading the list of devices: Is a directory' $TENON raid list
TENON_DEVICES_FILE=$work/list refused 'list: is a folder' $TENON device add a.img
TENON_DEVICES_FILE=$work/a.img/none expect 0 '' $TENON device list
truncate -s 8M free.img
head -c 1M /dev/urandom >data

# What is no image.
mkdir folder
mkfifo fifo
: >empty
ln -s nowhere dangling
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
for kind in folder:directory fifo:FIFO socket:socket /dev/zero:character dangling:'o such' nothing:'no such|No such' empty:empty a.img/x:'Not a directory|no such'; do
	file=${kind%%:*} pattern=${kind#*:}
	expect 1 "$pattern" $TENON raid examine $file
	expect 1 "$pattern" $TENON pv check $file
	expect 1 "$pattern" $TENON pv show $file
	refused "$pattern" $TENON raid create q --level 1 free.img $file
	refused "$pattern" $TENON vg create q $file
	[ $file = empty ] || expect 1 "$pattern" $TENON raid list --device $file
	[ ! -e $file ] || json 'd == []' $TENON vg list --json --device $file
done
expect 1 'FIFO' env TENON_DEVICES=fifo $TENON raid list
expect 0 'nothing.*No such' env TENON_DEVICES=a.img:nothing $TENON raid list
refused 'no such array.*nothing' env TENON_DEVICES=nothing $TENON raid show r

# Copies that would lose something.
refused 'source and the destination' $TENON copy p.img ./p.img
echo 'not a whole sector' >odd
refused 'source and the destination' $TENON copy odd odd
ln odd link
refused 'source and the destination' $TENON copy odd link
[ -s odd ] || problem 'a file that was copied onto itself is empty'
export TENON_DEVICES=a.img:b.img:p.img
refused 'source and the destination' $TENON copy vg/x vg/x
expect 0 '' $TENON copy data vg/x
expect 0 '' $TENON copy vg/x vg/y
cmp data <($TENON copy vg/y -) || problem 'a copy from volume to volume of a group'
array on c.img d.img
TENON_DEVICES=c.img:d.img $TENON vg create vgon md/on
TENON_DEVICES=c.img:d.img refused 'LVM2' $TENON copy data md/on
refused 'holds' $TENON copy data a.img
expect 0 '' $TENON copy empty out
[ -e out ] && [ ! -s out ] || problem 'the copy of an empty file'
expect 0 '' $TENON copy vg/x /dev/null
expect 0 '' $TENON copy <(head -c 1000 data) vg/y
cmp -n 1000 data <($TENON copy vg/y - 2>/dev/null) || problem 'a copy from a pipe'
refused 'No such file' $TENON copy data folder/none/x
refused 'source has' $TENON copy free.img vg/x

# Names.
for name in '' . .. 'two words' 'sl/ash' 'co:lon' $'new\nline' "$(printf 'x%.0s' {1..200})"; do
	status=2 refused 'name|VG/LV|verb|operand' $TENON raid create --level 1 -- "$name" free.img missing
	status=2 refused 'name|VG/LV' $TENON vg create -- "$name" free.img
	status=2 refused 'name|VG/LV' $TENON lv create --size 1M -- "vg/$name"
done
for name in vg /x vg/ / vg/x/y; do
	status=2 refused 'VG/LV' $TENON lv show "$name"
	status=2 refused 'VG/LV' $TENON lv create --size 1M "$name"
done
refused 'no such array' $TENON raid show none
refused 'no such volume group' $TENON vg show none
refused "no volume|no such volume" $TENON lv show vg/none
refused 'no such volume group' $TENON serve none --socket-dir sockets
refused 'no such volume|no volume' $TENON serve vg/none --socket-dir sockets

# Paths with characters that mean something elsewhere.
for path in 'with space.img' 'sta*r.img' 'que?stion.img' 'brack[e]t.img' $'\xff\xfe.img' 'quo"te.img' "back\\slash.img"; do
	cp a.img "$path"
	json 'len(d) == 1' $TENON raid list --json --device "$path"
	json 'len(d["members"]) == 1' $TENON raid show r --json --device "$path"
	json 'd[0]["array_uuid"]' $TENON raid examine --json "$path"
	expect 0 '' $TENON device add "$path"
	[ "$(TENON_DEVICES='' $TENON raid list 2>/dev/null | wc -l)" = 2 ] || problem "$path in the list of devices"
	json 'len(d) == 1' env TENON_DEVICES= $TENON device list --json
	expect 0 '' $TENON device remove "$path"
	rm "$path"
done

# The same thing twice.
refused 'in use|twice' $TENON raid create q --level 1 free.img free.img
ln -s free.img link.img
ln free.img hard.img
for other in ./free.img link.img hard.img; do
	refused 'are one device, given twice' $TENON raid create q --level 1 free.img $other
done
if loop=$(losetup --find --show free.img 2>/dev/null); then
	refused 'are one device, given twice \(both lie on' $TENON raid create q --level 1 free.img "$loop"
	losetup --detach "$loop"
fi
rm link.img hard.img
refused 'in use|twice' $TENON vg create q free.img ./free.img
cp a.img copy.img
# Nobody knows which of two copies is the member: nothing is read from either, and the listing says why.
for devices in a.img:copy.img copy.img:a.img a.img:b.img:copy.img; do
	refused 'copies of one member' env TENON_DEVICES=$devices $TENON raid show r --json
	refused 'copies of one member' env TENON_DEVICES=$devices $TENON copy md/r out
	refused 'copies of one member' env TENON_DEVICES=$devices $TENON raid fail r a.img
	json 'len(d) == 1 and d[0]["working"] == 0 and "copies of one member" in d[0]["problem"]' \
		env TENON_DEVICES=$devices $TENON raid list --json
done
array r e.img f.img
json 'len(d) == 2' $TENON raid list --json --device '[abef].img'
refused 'two arrays.*' $TENON raid show r --device '[abef].img'
refused 'two arrays' $TENON copy md/r out --device '[abef].img'
refused 'two arrays' $TENON raid fail r a.img --device '[abef].img'
cp p.img copy.img
refused 'more than once|twice|too' $TENON copy vg/x out --device p.img --device copy.img
refused 'more than once|twice|too' $TENON lv create vg/z --size 1M --device p.img --device copy.img
expect 0 'is on .*copy.img too' $TENON pv list --device p.img --device copy.img
TENON_DEVICES='' group vg g.img
json 'len(d) == 2' $TENON vg list --json --device p.img --device g.img
refused 'two' $TENON vg show vg --device p.img --device g.img
refused 'two' $TENON lv create vg/z --size 1M --device p.img --device g.img
refused 'two' $TENON copy vg/x out --device p.img --device g.img
rm copy.img

# What others have on a device is named, and left.
table() { python3 -c '
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(446); f.write(struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x83, b"\xff" * 3, 2048, 4096))
    f.seek(510); f.write(b"\x55\xaa")' "$1"; }
luks() { printf 'LUKS\xba\xbe\0\2' | dd of="$1" conv=notrunc status=none; }
foreign() {
	local pattern=$1
	shift
	rm -f foreign.img
	truncate -s ${size:-16M} foreign.img
	"$@" foreign.img >made.log 2>&1 || problem "'$*' made nothing: $(cat made.log)"
	refused "$pattern" $TENON raid create q --level 1 foreign.img free.img
	refused "$pattern" $TENON raid create q --level 1 free.img missing --spare foreign.img
	refused "$pattern" $TENON vg create q foreign.img
	refused "$pattern" $TENON raid add r foreign.img
	refused "$pattern" $TENON pv show foreign.img
	expect 0 '' $TENON vg create q foreign.img --force
}
foreign ext4 mke2fs -q -t ext4
foreign swap mkswap
foreign 'dos' table
foreign LUKS luks
PATH=$PATH:/sbin:/usr/sbin
# These take nothing small.
command -v mkfs.xfs >/dev/null && size=320M foreign xfs mkfs.xfs -q -f
command -v mkfs.btrfs >/dev/null && size=128M foreign btrfs mkfs.btrfs -q
command -v sgdisk >/dev/null && foreign 'gpt|dos' sgdisk -n 1

# Cut off at each structure: what is missing is told.
for cut in 4096 4608 8192 8704 524288 1048576 8380416; do
	head -c $cut a.img >cut.img
	refused 'cut.img' $TENON raid examine cut.img
	refused 'no such array|cut.img' $TENON copy md/r out --device cut.img
	expect 0 'clean' $TENON raid show r --device cut.img --device b.img
	cmp <($TENON copy md/r - --device b.img) <($TENON copy md/r - --device b.img --device cut.img) ||
		problem "the array beside a member that was cut at $cut"
done
for cut in 512 1024 4096 4608 5120 1048576 1900544; do
	head -c $cut p.img >cut.img
	refused 'cut.img' $TENON pv check cut.img
	refused 'vg' $TENON copy vg/x out --device cut.img
	refused 'vg' $TENON lv create vg/z --size 1M --device cut.img
done
rm -f cut.img

# And damage in general.
cp b.img p.img a.img "$work/folder" && python3 "$here/mutations.py" "$TENON" "$work/folder" "${MUTATIONS:-60}" "${SEED:-1}" >mutations ||
	problem "$(cat mutations)"

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
