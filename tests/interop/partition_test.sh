#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Partitions inside images as devices: tables made by sfdisk, physical volumes in them seen by the real lvm2, locks
# that let two processes have two partitions and nobody the whole beside them, and hostile tables.
set -u
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
for tool in sfdisk python3; do command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }; done
pids=() loop=
cleanup() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
}
cd "$work" || exit 1
ready() { for _ in $(seq 1200); do grep -q '^ready' "$1" && return; sleep 0.05; done; problem "no server: $(cat "$1")"; }
table() { sfdisk -q --no-reread --no-tell-kernel "$1" >/dev/null 2>said || problem "sfdisk $1: $(cat said)"; }

truncate -s 100M gpt.img dos.img
table gpt.img <<<$'label: gpt\nsize=30M\nsize=40M\nsize=10M'
table dos.img <<<$'label: dos\nsize=20M\nstart=22M, size=60M, type=5\nstart=24M, size=20M\nstart=48M, size=30M'

# --- An image with partitions says so, and never looks empty.
for verb in 'raid list' 'vg list' 'lv list' 'pv list'; do
	expect 1 'gpt.*partitions 1, 2, 3.*gpt.img:1' $TENON $verb --device gpt.img
	expect 1 'dos.*partitions 1, 5, 6' $TENON $verb --device dos.img
done
expect 1 'gpt.img:1' $TENON raid examine gpt.img
expect 1 'gpt.img:1' $TENON pv show gpt.img
expect 1 'gpt.img:1' $TENON pv check gpt.img
expect 1 'gpt.img:1' $TENON lv show vg/x --device gpt.img
expect 0 'gpt +1, 2, 3' $TENON device list --device gpt.img
expect 0 '"start_bytes": 1048576' $TENON device list --device gpt.img --json
expect 1 'gpt partition table' $TENON vg create vg gpt.img

# --- Everywhere that a device is taken: operands, --device with a glob, TENON_DEVICES, the devices file.
expect 0 '' $TENON vg create g gpt.img:1 gpt.img:2
expect 0 '' $TENON vg create d dos.img:5
expect 0 '' $TENON raid create r --level 1 gpt.img:3 dos.img:6 --size 8M
export TENON_DEVICES=gpt.img:1:gpt.img:2:dos.img:5:gpt.img:3:dos.img:6
expect 0 '"device": ".*/gpt.img:2"' $TENON pv list --json
expect 0 '^g ' $TENON vg list
expect 0 '^d ' env TENON_DEVICES= $TENON vg list --device '*.img:5' --device gpt.img:1
expect 0 'dos.img:6' $TENON raid show r
expect 0 '' env TENON_DEVICES= $TENON device add gpt.img:1 gpt.img:2
expect 0 'gpt.img:2 +yes' env TENON_DEVICES= $TENON device list
expect 0 '^g ' env TENON_DEVICES= $TENON vg list
expect 0 '' env TENON_DEVICES= $TENON device remove gpt.img:2
expect 1 'no partition 9' env TENON_DEVICES= $TENON device add gpt.img:9
expect 0 '' $TENON lv create g/x --size 50M
# Noise may look like the start of some file system: one of 65536 has the magic of HFS Plus.
{ head -c 128K /dev/zero | tr '\0' d; head -c $(((50 << 20) - (128 << 10))) /dev/urandom; } >data
expect 0 '' $TENON copy data g/x
cmp -n $((50 << 20)) data <($TENON copy g/x - 2>/dev/null) || problem 'a volume over two partitions'
mkdir sub && cp --sparse=always dos.img sub/dos.img
expect 0 '' $TENON copy sub/dos.img:1 first
[ "$(stat -c %s first)" = $((20 << 20)) ] || problem "a partition of $(stat -c %s first) bytes"
head -c 20M data >twenty
expect 0 '' $TENON copy twenty dos.img:1
cmp -n $((20 << 20)) <(tail -c +1048577 dos.img) twenty || problem 'a copy into a partition'
cmp twenty <($TENON copy dos.img:1 -) || problem 'a copy out of a partition'
expect 1 'source has' $TENON copy data dos.img:1
expect 1 'no partition 3' $TENON copy first dos.img:3
expect 1 'extended' $TENON copy first dos.img:2
[ ! -e dos.img:3 ] || problem 'a file was made for a partition that is not there'
# A file of that very name wins.
cp first gpt.img:7
expect 0 '' $TENON copy gpt.img:7 seventh && cmp first seventh || problem 'a file with a colon in its name'
rm gpt.img:7

# --- Two owners of two partitions; nobody of the whole, nor twice of one.
$TENON serve g --socket-dir s1 >server1 2>&1 & pids+=($!)
$TENON serve d --socket-dir s2 --device dos.img:5 >server2 2>&1 & pids+=($!)
ready server1 && ready server2
expect 1 'in use' $TENON vg create x gpt.img --force
expect 1 'in use' $TENON copy twenty gpt.img:2 --force
expect 1 'in use' $TENON copy first dos.img --force
expect 0 '' $TENON copy twenty dos.img:1 --force
expect 0 '' $TENON copy md/r out
if command -v qemu-io >/dev/null; then
	qemu-io -f raw -c 'read 0 512' gpt.img >said 2>&1
	grep -qi lock said || problem "QEMU may write to an image with a partition in use: $(cat said)"
fi
kill "${pids[@]}" && wait "${pids[@]}" 2>/dev/null
pids=()

# Source and destination that share bytes are one thing twice; two partitions are two things.
cp --sparse=always dos.img two.img
expect 1 'given twice|in use|source and the destination' $TENON copy two.img two.img:1 --force
expect 1 'given twice|in use|source and the destination' $TENON copy two.img:1 two.img --force
expect 1 'given twice|in use|source and the destination' $TENON copy two.img:1 two.img:1 --force
cmp two.img dos.img || problem 'a refused copy changed something'
expect 0 '' $TENON copy two.img:1 two.img:6 --force
cmp -n $((20 << 20)) <($TENON copy two.img:1 -) <($TENON copy two.img:6 - 2>/dev/null) || problem 'a copy from partition to partition'

# --- The real lvm2 sees what is in there.
if [ "$(id -u)" = 0 ] && command -v lvm >/dev/null && loop=$(losetup -f --show -o 1M --sizelimit 30M gpt.img 2>/dev/null); then
	second=$(losetup -f --show -o 31M --sizelimit 40M gpt.img)
	LVM_SUPPRESS_FD_WARNINGS=1 lvm lvs --driverloaded n --noheadings --nosuffix --units m -o lv_name,lv_size --config "
		devices { dir=\"/dev\" scan=[\"/dev\"] use_devicesfile=0 filter=[\"a|^$loop\$|\",\"a|^$second\$|\",\"r|.*|\"]
			obtain_device_list_from_udev=0 external_device_info_source=\"none\" sysfs_scan=0 }
		activation { udev_sync=0 udev_rules=0 monitoring=0 } global { event_activation=0 }" g >said 2>why
	grep -q 'x *52.00' said || problem "lvm2 does not see the volume: $(cat said why)"
	losetup -d "$second"
	losetup -d "$loop"
	loop=
fi

# --- Hostile tables.
cp --sparse=always gpt.img cut.img && truncate -s 60M cut.img
expect 1 'GPT for a disk of 104857600 bytes' $TENON pv show cut.img:2
expect 1 'GPT for a disk' $TENON pv list --device cut.img
cp --sparse=always gpt.img backup.img && dd if=/dev/zero of=backup.img bs=512 seek=1 count=1 conv=notrunc status=none
expect 1 'only the backup' $TENON pv show backup.img:1
cp --sparse=always gpt.img bad.img && printf '\377' | dd of=bad.img bs=1 seek=1030 conv=notrunc status=none
truncate -s 99M bad.img
expect 1 'GPT.*(damaged|disk of)' $TENON pv show bad.img:1
python3 - <<-'PYTHON'
	import os, struct, zlib
	def mbr(name, entries, size=64 << 20, ebrs={}):
	    with open(name, "wb") as f:
	        f.truncate(size)
	        for at, table in {0: entries, **ebrs}.items():
	            f.seek(at * 512 + 446)
	            for kind, start, length in table:
	                f.write(struct.pack("<B3xB3xII", 0, kind, start, length))
	            f.seek(at * 512 + 510)
	            f.write(b"\x55\xaa")
	mbr("overlap.img", [(0x83, 2048, 40000), (0x83, 40000, 20000)])
	mbr("beyond.img", [(0x83, 2048, 20000), (0x83, 40000, 0xf0000000)])
	mbr("ebr.img", [(0x83, 2048, 20480), (5, 32768, 65536)], ebrs={32768: [(0x83, 2048, 20480), (5, 0, 32768)]})
	# GPT with sectors of 4096 bytes: partition 1 from sector 256, 8192 sectors.
	size, sector = 64 << 20, 4096
	last = size // sector - 1
	entry = struct.pack("<16s16sQQQ72s", bytes(range(16)), bytes(range(1, 17)), 256, 256 + 8192 - 1, 0, b"") + bytes(127 * 128)
	def header(me, other, table):
	    def pack(crc):
	        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, me, other, 6, last - 5, bytes(range(16)), table, 128, 128, zlib.crc32(entry))
	    return pack(zlib.crc32(pack(0)))
	with open("4k.img", "wb") as f:
	    f.truncate(size)
	    f.seek(446)
	    f.write(struct.pack("<B3xB3xII", 0, 0xee, 1, last))
	    f.seek(510)
	    f.write(b"\x55\xaa")
	    f.seek(sector)
	    f.write(header(1, last, 2))
	    f.seek(2 * sector)
	    f.write(entry)
	    f.seek((last - 4) * sector)
	    f.write(entry)
	    f.seek(last * sector)
	    f.write(header(last, 1, last - 4))
PYTHON
expect 1 'overlap' $TENON vg create h overlap.img:1
expect 1 'overlap' $TENON vg create h overlap.img:2
expect 0 '' $TENON vg create h1 beyond.img:1
expect 1 'bytes 20480000 to .* there are 67108864|no partition 2' $TENON vg create h2 beyond.img:2
expect 0 '' $TENON vg create h3 ebr.img:1
# A chain that bites its tail ends where it does so, as for partx and the kernel.
expect 0 'dos +1, 5 ' $TENON device list --device ebr.img
expect 1 'no partition 6' $TENON vg create h4 ebr.img:6
expect 1 'no partition' $TENON vg create h4 ebr.img:77
expect 0 '' $TENON vg create k 4k.img:1
[ "$(dd if=4k.img bs=1M skip=1 count=1 status=none | head -c 520 | tail -c 8)" = LABELONE ] || problem 'a partition of a table with 4096-byte sectors'
expect 1 'no partition table' $TENON vg create n data:1
expect 1 'No such file|no such' $TENON vg create n none.img:1

# --- A superblock 0.90 of the last partition is at the end of the whole, too: that is no member, whose partition table would be read, and written over.
old() { # FILE KIB ROLE: a disk of that size, whose one partition of 20 MiB, from 1 MiB on, is a member of a mirror
	truncate -s "$2K" "$1"
	table "$1" <<<$'label: dos\nstart=1M, size=20M'
	python3 - "$1" "$3" <<-'END'
	import struct, sys
	words = [0] * 1024
	words[:16] = [0xa92b4efc, 0, 90, 0, 0, 1, 1700000000, 1, 20 * 1024 - 64, 2, 2, 1, 0, 2, 3, 4]
	words[32:40] = [1700000000, 1, 2, 2, 0, 0, 0, 7]
	for i in range(2):
	    words[128 + 32 * i:133 + 32 * i] = [i, 8, i, i, 6]
	role = int(sys.argv[2])
	words[992:997] = words[128 + 32 * role:133 + 32 * role]
	total = sum(words)
	words[38] = (total + (total >> 32)) & 0xffffffff
	with open(sys.argv[1], "r+b") as image:
	    image.seek((21 << 20) - 65536)
	    image.write(struct.pack("<1024I", *words))
	END
}
old o0.img 21504 0
old o1.img 21504 1
whole=o0.img:o1.img parts=o0.img:1:o1.img:1
expect 1 'superblock at its end is that of partition 1: name .*o0.img:1' env TENON_DEVICES=$whole $TENON raid list
expect 1 'that of partition 1' env TENON_DEVICES=$whole $TENON raid assemble 1
expect 0 '^1 +clean +raid1' env TENON_DEVICES=$parts $TENON raid list
expect 0 '2 of 2' env TENON_DEVICES=$whole:$parts $TENON raid assemble 1
[ -z "$(TENON_DEVICES=$whole:$parts $TENON raid list 2>&1 >/dev/null)" ] || problem 'the whole is told of beside its partition'
export TENON_DEVICES=$parts
expect 0 '' $TENON raid fail 1 o0.img:1
head -c 1M o0.img >start
expect 1 'that of partition 1|in use' $TENON raid add 1 o0.img
cmp -n $((1 << 20)) start o0.img || problem 'the partition table was written over'
expect 0 '' $TENON raid add 1 o0.img:1

# One that is damaged is told of where it is: at the end, of the partition; elsewhere, of the whole.
damage() { printf '\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
cp o1.img damaged.img && damage damaged.img $(((21 << 20) - 65536 + 200))
expect 1 'that of partition 1: name .*damaged.img:1' env TENON_DEVICES=damaged.img $TENON raid list
truncate -s 21504K begin.img && table begin.img <<<$'label: dos\nstart=1M, size=20M'
printf '\374\116\053\251\001' | dd of=begin.img bs=1 seek=4096 conv=notrunc status=none
expect 1 'superblock at byte 4096: checksum' env TENON_DEVICES=begin.img $TENON raid list
grep -q 'at its end' <(TENON_DEVICES=begin.img $TENON raid list 2>&1) && problem 'a superblock at the beginning is told as one at the end'

# A partition of a disk that is itself a member lies in that array: no command takes it, as it takes no member.
truncate -s 64M m0.img m1.img
export TENON_DEVICES=m0.img:m1.img
expect 0 '' $TENON raid create mirror --level 1 --metadata 1.0 --assume-clean m0.img m1.img
for i in 0 1; do table m$i.img <<<$'label: dos\nstart=1M, size=20M'; done
head -c 22M m0.img >start
head -c 1M /dev/urandom >bytes
for command in "raid create y --level 1 m0.img:1 missing" "pv create m0.img:1" "vg create y m0.img:1" "copy bytes m0.img:1"; do
	expect 1 'm0.img:1: lies on .*m0.img, which holds an md superblock 1.0' $TENON $command
done
expect 0 'it lies on m0.img' $TENON raid create y --level 1 m0.img:1 missing --dry-run
expect 0 'it lies on m0.img' $TENON copy bytes m0.img:1 --dry-run
cmp -n $((22 << 20)) start m0.img || problem 'a mirror was written to by way of a partition of its disk'
expect 0 '' $TENON raid create y --level 1 m0.img:1 missing --force
# That of the last partition is not its disk's.
truncate -s 21M n0.img && table n0.img <<<$'label: dos\nstart=1M, size=20M'
expect 0 '' env TENON_DEVICES= $TENON raid create y --level 1 --metadata 1.0 n0.img:1 missing
expect 1 'n0.img:1: holds a' env TENON_DEVICES= $TENON raid create z --level 1 n0.img:1 missing
expect 0 '' env TENON_DEVICES= $TENON raid zero n0.img:1
expect 0 '' env TENON_DEVICES= $TENON raid create z --level 1 n0.img:1 missing

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
