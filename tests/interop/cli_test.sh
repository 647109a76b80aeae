#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The command line's contract: exit status, one clear message for bad input and nothing changed on any disk,
# JSON of every listing, and commands that a running server carries out.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
command -v mke2fs >/dev/null || { echo "e2fsprogs is not installed"; exit 77; }
server=
cleanup() { [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server"; }; }
cd "$work" || exit 1

# [status=2] refused PATTERN COMMAND...: exit status 1, one message, and no image changed.
refused() {
	local pattern=$1 before
	shift
	before=$(stat -c "%n %s %y" ./*.img)
	expect "${status:-1}" "$pattern" "$@"
	[ "$(stat -c "%n %s %y" ./*.img)" = "$before" ] || problem "'$*' changed an image"
}

# What few commands need, none loads before it does.
loaded=$(ldd "${TENON%% *}" | grep -oE 'lib(pcap|dbus|systemd|nbd|slirp|gnutls|nl|fuse|blkid|ext2fs|com_err|yaml|seccomp|aio)[^ ]*' | tr '\n' ' ')
[ -z "$loaded" ] || problem "each command loads $loaded"
# Its notes name what it loads then, for packages and images; a linker of this host finds each of these.
notes=$(readelf -p .note.dlopen "${TENON%% *}" | grep -oE 'lib[a-z0-9_-]*\.so\.[0-9.]*(t64)?' | sort)
[ "$(wc -w <<<"$notes")" = 11 ] || problem "of libraries it notes:" $notes
for name in $notes; do
	PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -qF "$name " || problem "this host has no $name"
done
# Where one is not there, the command that needs it says which, and others go on.
hide=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | awk '$1 ~ /^libnl-route-3/ { print $NF; exit }')
hidden() { unshare -rm sh -c 'mount --bind /dev/null "$(realpath "$0")" && "$@"' "$hide" "$@"; }
if hidden true 2>/dev/null; then
	expect 1 "cannot use ${hide##*/}: " hidden $TENON nic list
	expect 1 'apt-get install libnl-route-3-200' hidden $TENON nic list
	expect 0 tenon hidden $TENON --version
fi

# Usage.
expect 2 'usage' $TENON
expect 2 "no noun 'frobnicate'" $TENON frobnicate
expect 2 "no verb 'explode'" $TENON raid explode
expect 2 'too few operands' $TENON raid create
expect 2 'level is needed' $TENON raid create r a.img b.img
expect 2 'expected a number' $TENON lv create vg/lv --size many
expect 2 'size' $TENON lv create vg/lv
# Each number has a range, which the message names.
expect 2 'from 1 to 4294967295' $TENON lv create vg/lv --extents 0
expect 2 'from 1 to 128' $TENON lv create vg/lv --size 1M --stripes 0
# What is wrong by itself is that before any device is looked at, and with the same status everywhere.
for verb in 'create lv --size 4M' 'show lv' 'show vg/lv/x' 'remove /lv' 'resize vg/ --size 4M' 'tag lv --add t' 'rename lv new'; do
	expect 2 'expected VG/LV' $TENON lv $verb
done
expect 2 'found byte 0x21' $TENON lv create 'vg/l!' --size 4M
expect 2 'found byte 0x21' $TENON lv rename vg/lv 'l!'
expect 2 'tag .*byte 2 is 0x40' $TENON lv create vg/lv --size 4M --tag 't@'
expect 2 'tag .*byte 2 is 0x40' $TENON lv tag vg/lv --add 't@'
expect 2 'found byte 0x21' $TENON vg create 'v!' a.img
expect 2 '--tag: tag .*byte 2 is 0x40' $TENON vg create v a.img --tag 't@'
expect 2 "name .a/b. has a '/'" $TENON raid create a/b --level 1 nothing none
expect 2 'layout "n2", expected none' $TENON raid create r --level 1 --layout n2 nothing none
$TENON raid create r --level 1 --layout n2 nothing none 2>&1 | grep -q 'named' && problem 'no number of devices makes that layout one of RAID1'
expect 2 'name .\.\.. is that of a folder' $TENON raid create .. --level 1 nothing none
expect 2 "host .a:b. has a '/'" $TENON raid create r --level 1 --homehost a:b nothing none
expect 2 'found byte 0x2f' $TENON vg rename v a/b
expect 2 'found byte 0x2f' $TENON vg clone a/b nothing
expect 2 'add: tag .*byte 2 is 0x40' $TENON vg tag v --add 't@'
for variable in TENON_ARCHIVE=7 TENON_ARCHIVE_MIN=x TENON_ARCHIVE_DAYS=-1 TENON_DEVICE_TIMEOUT=0; do
	expect 2 "^tenon: ${variable%%=*}: .*expected" env $variable $TENON lv list
done
expect 2 '--size: 100: 100 MiB, or 100 bytes' $TENON raid grow r --size 100
expect 2 '--min: size .zz.: expected a number' $TENON raid speed r --min zz
expect 2 '--max: 100: 100 MiB, or 100 bytes' $TENON raid speed r --max 100
expect 2 'from 1 to 128' $TENON lv create vg/lv --size 1M --stripes 18446744073709551617
expect 2 'from 4 KiB' $TENON lv create vg/lv --size 1M --stripes 2 --stripe-size 0
expect 2 'from 1 B' $TENON lv resize vg/lv --size 0
expect 2 'from 512 B to 2.00 TiB' $TENON vg create vg a.img --extent-size 1B
expect 2 'from 4 KiB to 1 TiB' $TENON vg create vg a.img --data-alignment 0
expect 2 'from 1 to 2' $TENON vg create vg a.img --metadata-copies 3
expect 2 'from 512 B to 2 GiB' $TENON raid create r --level 1 --bitmap-chunk 0 a.img b.img
expect 2 'from 64 KiB' $TENON raid create r --level 1 --size 0 a.img b.img
expect 2 'from 1 to 64' $TENON serve --socket-dir s --queues 0
expect 2 'from 1 to 64' $TENON serve --socket-dir s --queues 65
for workers in 0 65 +3 ' 3' 3x -1; do
	TENON_WORKERS=$workers expect 2 'TENON_WORKERS: expected from 1 to 64' $TENON serve --socket-dir s
done
expect 2 'socket-dir' $TENON serve
expect 0 'usage' $TENON --help
expect 2 'from 4 KiB' $TENON raid create r --level 0 --chunk 512B a.img b.img
expect 0 'create' $TENON raid --help
expect 0 'json' $TENON raid list --help
expect 0 'io_uring' $TENON host check
json 'any(r["feature"] == "kvm" for r in d)' $TENON host check --json

# The devices file.
truncate -s 64M a.img b.img c.img
expect 0 '' $TENON device add a.img b.img
expect 0 'a.img' $TENON device list
json 'len(d) == 2 and d[0]["present"]' $TENON device list --json
# Several at once: each that says so has added its own.
many=$(seq -f many%g 8)
: >said
for at in $many; do
	truncate -s 1M "$at"
	{ $TENON device add "$at" && echo "$at" >>said; } &
done
wait
[ -s said ] || problem "none of several devices was added"
while read -r at; do
	grep -q "/$at\$" "$TENON_DEVICES_FILE" || problem "$at was added, and is not in the list"
	expect 0 '' $TENON device remove "$at"
done <said
rm -f $many said
# What is no file is not replaced by one.
mkfifo fifo
sleep infinity <>fifo &
reader=$!
TENON_DEVICES_FILE=$PWD/fifo expect 1 'fifo: is no file' $TENON device add a.img
TENON_DEVICES_FILE=- expect 1 'is no file' $TENON device add a.img
printf 'a\0b' >no-list
TENON_DEVICES_FILE=$PWD/no-list expect 1 'name another file by TENON_DEVICES_FILE' $TENON device add a.img
[ -p fifo ] || problem "the FIFO was replaced"
kill $reader
wait $reader 2>/dev/null
rm -f fifo
expect 1 'No such file' $TENON device add nothing.img
expect 0 '' $TENON device remove b.img
expect 1 'not in the list' $TENON device remove b.img
expect 0 '' $TENON device remove a.img
# One that is not there any more is named as it was.
mkdir gone && touch gone/x.img
expect 0 '' $TENON device add gone/x.img
rm gone/x.img
expect 0 '' $TENON device remove gone/x.img
export TENON_DEVICES="$work/[abc].img"
json 'd == []' $TENON raid list --json
json 'd == []' $TENON vg list --json

# What is already there is named, and left.
cp a.img ext4.img && mke2fs -q -t ext4 ext4.img
refused 'ext4' $TENON raid create r --level 1 ext4.img b.img
refused 'ext4' $TENON vg create vg ext4.img
cp a.img table.img && printf '\x55\xaa' | dd of=table.img bs=1 seek=510 conv=notrunc status=none
printf '\x80\x00\x02\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x10\x00\x00' | dd of=table.img bs=1 seek=446 conv=notrunc status=none
refused 'dos|partition' $TENON raid create r --level 1 table.img b.img
truncate -s 1000 odd.img
refused 'odd.img' $TENON raid create r --level 1 odd.img b.img
truncate -s 64K small.img
refused 'small.img' $TENON raid create r --level 1 small.img b.img
refused 'small.img' $TENON vg create vg small.img
refused 'nothing.img' $TENON raid create r --level 1 a.img nothing.img
expect 2 'level 1|linear' $TENON raid create r --level 7 a.img b.img
refused 'no such array' $TENON raid show nothing
refused 'no such volume group' $TENON lv create vg/a --size 1M
refused 'superblock' $TENON raid examine a.img
rm -f ext4.img table.img odd.img small.img

# An array, a group, volumes.
expect 0 '' $TENON raid create r --level 1 --bitmap internal a.img b.img
json 'd["level"] == "raid1" and len(d["members"]) == 2 and not d["degraded"]' $TENON raid show r --json
json 'd["bitmap"]["chunks"] > 0 and d["bitmap"]["dirty"] == 0' $TENON raid show r --json
expect 0 'Speed min: +1000 KiB/s' $TENON raid show r
json 'd[0]["name"] == "r" and d[0]["working"] == 2' $TENON raid list --json
json 'len(d) == 2' $TENON raid examine a.img b.img --json
refused 'md|raid|linux_raid_member' $TENON raid create other --level 1 a.img c.img
truncate -s 8M zeroed.img
expect 0 '' $TENON raid create zeroed --level 10 --layout n2 --chunk 64K zeroed.img missing
expect 0 '' $TENON raid zero zeroed.img
refused 'no md superblock' $TENON raid zero zeroed.img
refused 'no md superblock' $TENON raid examine zeroed.img
rm zeroed.img
# What is wrong is said before anything is wiped.
refused 'a spare cannot be missing' $TENON raid create other --level 1 --force a.img c.img --spare missing
refused 'a write journal cannot be missing' $TENON raid create other --level 5 --force a.img c.img missing --journal missing
refused 'too many are missing' $TENON raid create other --level 10 --force a.img c.img missing missing
status=2 refused 'layout "n9x"' $TENON raid create other --level 10 --layout n9x --force a.img c.img
status=2 refused 'power of two' $TENON raid create other --level 5 --chunk 12K --force a.img c.img
refused 'does without none' $TENON raid create other --level 0 --force a.img missing
json 'len(d) == 2' $TENON raid examine a.img b.img --json
expect 0 '' $TENON vg create vg md/r
refused 'vg' $TENON vg create vg c.img
expect 0 '' $TENON lv create vg/a --size 10M
expect 0 '' $TENON lv create vg/b --size 8MiB
refused 'exist' $TENON lv create vg/a --size 4M
refused 'free|room|extents' $TENON lv create vg/big --size 1T
status=2 refused "name" $TENON lv create 'vg/b@d' --size 4M
json 'd["lv_count"] == 2' $TENON vg show vg --json
json '[l["name"] for l in d] == ["a", "b"] and d[0]["size_bytes"] == 12 << 20' $TENON lv list --json
# Without --sort a table is printed without JSON of its rows: it says the same.
expect 0 '' $TENON lv tag vg/b --add one --add two
[ "$($TENON lv list)" = "$($TENON lv list --sort name)" ] && [ "$($TENON lv list -H -o+uuid)" = "$($TENON lv list -H -o+uuid --sort name)" ] ||
	problem "tables differ: $($TENON lv list) $($TENON lv list --sort name)"
expect 0 'b .*one, two' $TENON lv list
# One volume by name, as lvs takes it, in tables and JSON; a group is not one.
for sorted in '' '--sort name'; do
	[ "$($TENON lv list vg/b -H -o name $sorted)" = b ] || problem "lv list vg/b $sorted: $($TENON lv list vg/b $sorted)"
done
json '[l["name"] for l in d] == ["b"]' $TENON lv list vg/b --json
json '[g["name"] for g in d] == ["vg"]' $TENON vg list vg --json
refused "vg/c: volume group vg has no volume 'c'" $TENON lv list vg/c
refused 'other: no such volume group' $TENON vg list other
for verb in list show check; do refused 'vg/b: expected VG' $TENON vg $verb vg/b; done
json 'd["segments"][0]["type"] == "linear"' $TENON lv show vg/a --json
json 'd[0]["device"] == "md/r" and d[0]["vg"] == "vg"' $TENON pv list --json
json 'd["vg"] == "vg"' $TENON pv show md/r --json
json 'len(d) > 0' $TENON pv check md/r --json

# Copies both ways, by every kind of end.
head -c 12M /dev/urandom >data
expect 0 '' $TENON copy data vg/a
expect 0 '' $TENON copy vg/a back
cmp data back || problem 'a volume came back changed'
$TENON copy - vg/b <<<'twelve bytes' || problem 'copy from a stream'
[ "$($TENON copy vg/b - | head -c 12)" = 'twelve bytes' ] || problem 'copy to a stream'
head -c 5001 data >odd
expect 0 '' $TENON copy odd vg/b
cmp -n 5001 odd <($TENON copy vg/b -) || problem 'a file of odd length'
truncate -s 20M large
refused 'large|source|bytes' $TENON copy large vg/b
refused 'no volume' $TENON copy data vg/none
refused 'No such file' $TENON copy none vg/b
refused 'member' $TENON copy large a.img
expect 0 '' $TENON copy md/r r.raw
cmp r.raw <($TENON copy --device a.img md/r -) || problem 'the array differs with one member missing'
mkdir -p vg2 && expect 0 '' $TENON copy vg/a vg2/file && cmp data vg2/file || problem 'copy into a directory'

# A member out and another in, without a server.
expect 0 '' $TENON raid fail r b.img
json 'd["degraded"]' $TENON raid show r --json
expect 0 '' $TENON raid remove r b.img
refused 'no member of md/r with data|no md superblock' $TENON raid re-add r c.img
expect 0 'not among the devices' $TENON raid add r c.img --device a.img
expect 0 'add a device .*or name the one that was added' $TENON raid rebuild r --device a.img
expect 0 'recovery of .* is done' $TENON raid rebuild r
json 'not d["degraded"]' $TENON raid show r --json
expect 0 '0 bytes differ' $TENON raid check r
cmp data <($TENON copy --device c.img vg/a -) || problem 'the new member has other data'

# A former member comes back, though it is on the list of devices.
expect 0 '' $TENON raid fail r a.img
expect 0 '' $TENON raid remove r a.img
expect 0 '' $TENON raid add r a.img
expect 0 '' $TENON raid rebuild r
json 'not d["degraded"]' $TENON raid show r --json

# A server owns it now.
long=$work/$(printf 'x%.0s' {1..100})
refused '107' $TENON serve vg --socket-dir "$long"
$TENON serve --socket-dir sockets >server.out 2>server.err &
server=$!
for _ in $(seq 1200); do grep -q ready server.out && break; sleep 0.05; done
# It has written the group's metadata anew, and the array says so for a moment.
for _ in $(seq 1200); do $TENON raid show r --json | grep -q '"clean": true' && break; sleep 0.05; done
grep -q "vg/a sockets/vg-a.sock" server.out || problem "the server said: $(cat server.out server.err)"
# The server may still be writing that: an attempt during which nobody writes has to come.
for _ in $(seq 1200); do
	before=$(stat -c "%n %s %y" ./*.img)
	expect 1 'in use|another process|lock' $TENON raid create x --level 1 a.img b.img --force
	after=$(stat -c "%n %s %y" ./*.img)
	[ "$before" != "$after" ] || break
	sleep 0.05
done
[ "$before" = "$after" ] || problem 'a create that was refused changed an image'
refused 'in use|another process|lock' $TENON serve vg --socket-dir sockets2
cmp data <($TENON copy vg/a -) || problem 'copy from a volume that is served'
expect 0 '' $TENON lv create vg/late --size 4M
[ -S sockets/vg-late.sock ] || problem 'a new volume was not exported'
expect 0 '' $TENON copy odd vg/late
expect 0 '' $TENON lv rename vg/late later
expect 0 '' $TENON lv resize vg/later --size 8M
expect 0 '' $TENON lv remove vg/later
[ -S sockets/vg-later.sock ] && problem 'a removed volume is still exported'
expect 0 '' $TENON raid fail r a.img
json 'd["degraded"]' $TENON raid show r --json
expect 0 '' $TENON raid remove r a.img
$TENON raid add r a.img >said 2>&1 || problem "raid add in the server: $(cat said)"
grep -q 'not among the devices' said && problem "the server looks at a.img: $(cat said)"
expect 0 '' $TENON raid rebuild r
json 'not d["degraded"]' $TENON raid show r --json
expect 0 '0 bytes differ' $TENON raid check r
# What it would not find again it says, as a command does without it.
mkdir elsewhere && truncate -s "$(stat -c %s a.img)" elsewhere/spare.img
expect 0 'spare.img: not among the devices that the server looks at' $TENON raid add r elsewhere/spare.img
expect 0 '' $TENON raid remove r elsewhere/spare.img
expect 0 'spare.img: not among the devices that the server looks at' $TENON raid replace r a.img --with elsewhere/spare.img --force
expect 0 '' $TENON raid rebuild r
expect 0 '' $TENON raid remove r a.img
expect 0 '' $TENON raid add r a.img
expect 0 '' $TENON raid replace r "$work/elsewhere/spare.img"
expect 0 '' $TENON raid rebuild r
expect 0 '' $TENON raid remove r elsewhere/spare.img
json 'not d["degraded"]' $TENON raid show r --json
kill $server && wait $server || problem "the server ended with $?: $(cat server.err)"
server=
[ -e sockets/vg-a.sock ] && problem 'a socket was left behind'
json 'd["clean"] and not d["degraded"]' $TENON raid show r --json
cmp data <($TENON copy --device a.img vg/a -) || problem 'data after the rebuild in the server'

# Too few for the level: how many it wants.
truncate -s 32M few1.img few2.img few3.img
expect 2 '3 named: name 4 or more devices, or "missing"' $TENON raid create few --level 6 few1.img few2.img few3.img
expect 2 '1 named: name 2 or more devices, or "missing"' $TENON raid create few --level 5 few1.img
rm few?.img

# Containers of firmware; of DDF, whose other header is elsewhere, only the magic is found.
truncate -s 32M ddf.img intel.img
printf '\xde\x11\xde\x11' | dd of=ddf.img bs=512 seek=65535 conv=notrunc status=none
printf '\x80' | dd of=ddf.img bs=1 seek=$((65535 * 512 + 102)) conv=notrunc status=none
printf 'Intel Raid ISM Cfg Sig. ' | dd of=intel.img bs=512 seek=65534 conv=notrunc status=none
for image in ddf.img intel.img; do
	refused 'a member of a container, in metadata of firmware' $TENON raid examine $image
	refused 'give --force to overwrite it' $TENON raid create few --level 1 $image missing
	refused 'a member of a container, in metadata of firmware' $TENON raid zero $image
done
rm ddf.img intel.img

# Damage is told with its place.
cp a.img broken.img
printf 'XXXX' | dd of=broken.img bs=1 seek=$((4096 + 100)) conv=notrunc status=none
refused 'checksum|csum' $TENON raid examine broken.img
truncate -s 10M broken.img
refused 'broken.img' $TENON raid examine broken.img
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
