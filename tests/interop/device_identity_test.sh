#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# One device under several names: loop devices over files, over loops, over parts of both, other nodes, links, bind
# mounts; between processes in both orders, and within one command. And copies, which are not one device.
set -u
. "$(dirname "$0")/lib.sh"
HELPERS=$(realpath "${BUILD:-build}/tests/helpers")
PATH=$PATH:/usr/sbin:/sbin
loops=() server= bound=
cleanup() {
	[ -z "$server" ] || { kill "$server"; wait "$server"; } 2>/dev/null
	[ -z "$bound" ] || umount "$bound"
	for ((i = ${#loops[@]} - 1; i >= 0; i--)); do losetup -d "${loops[i]}"; done
}
cd "$work" || exit 1
serve() {
	rm -f said # the last one's may say "ready" until the shell has truncated it
	"$TENON" serve "$@" >said 2>&1 &
	server=$!
	for _ in $(seq 1200); do grep -q '^ready' said && return; kill -0 $server 2>/dev/null || return; sleep 0.05; done
}
stop() { kill "$server" 2>/dev/null; wait "$server"; server=; }

# --- Links: no root needed.
truncate -s 64M a.img b.img
ln a.img hard.img && ln -s a.img soft.img
for name in hard.img soft.img ./a.img; do
	expect 1 'a.img.*twice|given twice' "$TENON" raid create r0 --level 1 a.img $name
	expect 1 'a.img.*twice|given twice' "$TENON" vg create v0 a.img $name
done
expect 0 '' "$TENON" raid create r0 --level 1 a.img b.img
export TENON_DEVICES=$work/a.img:$work/hard.img:$work/b.img:$work/soft.img
expect 0 '^r0 +clean .* 2 +2 ' "$TENON" raid list

# --- Copies of a member: neither is used, both are named.
cp a.img copy.img
export TENON_DEVICES="$work/*.img"
expect 0 'a.img.*copy.img.*copies of one member|copy.img.*a.img.*copies of one member' "$TENON" raid list
expect 1 'copies of one member' "$TENON" vg create v0 md/r0
rm copy.img
expect 0 '' "$TENON" vg create v0 md/r0
expect 0 '' "$TENON" lv create v0/l --size 8M

# --- A PV of an array with its superblock at the end, of which only one member is given, and that damaged.
truncate -s 64M e.img f.img
expect 0 '' "$TENON" raid create end --level 1 --metadata 1.0 e.img f.img
expect 0 '' env TENON_DEVICES="$work/e.img:$work/f.img" "$TENON" vg create vend md/end
expect 0 '' env TENON_DEVICES="$work/e.img:$work/f.img" "$TENON" lv create vend/l --size 8M
before=$(sha256sum <e.img)
# major version, checksum: at bytes 4 and 216 of the superblock, 8 KiB from the end
for damage in 4 8 216; do
	cp --sparse=always e.img g.img
	printf '\377\377\377\377' | dd of=g.img bs=1 seek=$((64 * 1048576 - 8192 + damage)) conv=notrunc status=none
	left=$(sha256sum <g.img)
	expect 1 'g.img.*(superblock|array)' "$TENON" lv create vend/evil --size 4M --device g.img
	expect 1 'g.img.*(superblock|array)' "$TENON" copy b.img vend/l --device g.img
	expect 1 'g.img.*(superblock|array)' "$TENON" pv show "$work/g.img" --device g.img
	expect 1 'g.img' "$TENON" pv list --device g.img
	expect 1 'g.img.*(superblock|array|vend)' "$TENON" vg create other g.img
	expect 1 'g.img: holds' "$TENON" copy b.img g.img
	[ "$left" = "$(sha256sum <g.img)" ] || problem "g.img was written to (damage at $damage)"
done
[ "$before" = "$(sha256sum <e.img)" ] || problem "e.img was written to"
rm e.img f.img g.img

finish() {
	[ "$failures" = 0 ] && echo passed
	[ "$failures" = 0 ]
	exit
}
losetup -f >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || { echo "loop devices need root; the rest is done"; finish; }
# loop FILE [OPTION]...: sets $loop
loop() {
	local file=$1
	shift
	loop=$(losetup -f --show "$@" "$file") || { echo "no loop device can be had; the rest is done"; finish; }
	loops+=("$loop")
}

# --- Within one command.
truncate -s 64M c.img d.img
loop c.img; C=$loop
loop d.img; D=$loop
loop "$C"; over=$loop
loop c.img -o 1M --sizelimit 16M; first=$loop
loop c.img -o 17M --sizelimit 16M; second=$loop
loop "$C" -o 16M --sizelimit 16M; middle=$loop
mknod "$work/node" b $((0x$(stat -c %t "$D"))) $((0x$(stat -c %T "$D")))
for pair in "c.img $C" "$C c.img" "c.img $over" "$C $over" "c.img $first" "$first $middle" "$second $middle" "$D $work/node" \
	"d.img $work/node"; do
	set -- $pair
	expect 1 "$1 and $2" "$TENON" raid create r1 --level 1 "$1" "$2"
done
# One of which the kernel does not tell is not taken for another disk.
if command -v strace >/dev/null && strace -qq -o strace.out true 2>/dev/null; then
	no_sysfs() { strace -f -qq -o strace.out -P "/sys/dev/block/$(cat "/sys/block/${C##*/}/dev")/loop/backing_file" -e inject=openat:error=EIO "$@"; }
	expect 1 "$C: finding out what it lies on: Input/output error" no_sysfs "$TENON" raid create r1 --level 1 c.img "$C"
	expect 1 "$C: finding out what it lies on: Input/output error" no_sysfs "$TENON" raid list --device d.img --device "$C"
else
	echo 'nothing of a sysfs that fails: strace is not installed, or may not trace here'
fi
expect 0 '' "$TENON" raid create r1 --level 1 "$first" "$second"
expect 0 '^r1 .* 2 +2 ' "$TENON" raid list --device "$first" --device "$second"
expect 0 '' "$TENON" raid examine "$first"
losetup -d "$middle" "$second" "$first" "$over"
unset 'loops[5]' 'loops[4]' 'loops[3]' 'loops[2]'

# --- A server has the file; then somebody comes over the loop.
loop a.img; A=$loop
loop b.img; B=$loop
both=$work/a.img:$work/b.img
export TENON_DEVICES=$both
serve --socket-dir s1
expect 0 '' env TENON_DEVICES="$A:$B" "$TENON" lv create v0/byserver --size 4M
expect 0 'byserver' env TENON_DEVICES="$A:$B" "$TENON" lv list
expect 1 'a.img.*in use by process|server' env TENON_DEVICES="$A:$B" TENON_RUNTIME_DIR="$work/other" "$TENON" lv create v0/x --size 4M
expect 1 'a.img.*in use by process' env TENON_DEVICES="$A:$B" "$TENON" serve --socket-dir s2
expect 1 'a.img.*in use by process' "$TENON" copy "$A" /dev/null
expect 1 'in use by process' "$TENON" copy "$work/hard.img" /dev/null
expect 1 'a.img.*in use by process' "$TENON" copy d.img "$A" --force
mkdir bind && touch bind/file && mount --bind a.img bind/file && bound=$work/bind/file
expect 1 'in use by process' "$TENON" copy bind/file /dev/null
[ -z "$bound" ] || { umount "$bound"; bound=; }
loop "$A" -o 1M; part=$loop
expect 1 'a.img.*in use by process' "$TENON" copy "$part" /dev/null
losetup -d "$part"; unset 'loops[-1]'
stop

# --- A server has the loop; then somebody comes by the file.
TENON_DEVICES=$A:$B serve --socket-dir s1
expect 0 'byserver' "$TENON" lv list
expect 1 'in use by process' env TENON_RUNTIME_DIR="$work/other" "$TENON" lv create v0/x --size 4M
expect 1 'in use by process' "$TENON" copy a.img /dev/null
expect 1 'in use by process' "$TENON" copy d.img hard.img --force
expect 1 'in use' "$HELPERS/block_io" -l a.img info
stop
# What only reads shares with others who read.
mkfifo hold
"$HELPERS/block_io" -r -l "$C" hold >held <hold &
exec 3>hold
for _ in $(seq 1200); do grep -q holding held && break; sleep 0.05; done
expect 0 '' "$TENON" copy c.img /dev/null
expect 1 'in use' "$TENON" copy d.img c.img --force
exec 3>&-
wait $!

# --- A loop over a file that nobody can open any more can be read, not written to.
rm c.img
expect 0 '' "$TENON" copy "$C" /dev/null
expect 1 'deleted|cannot be' "$TENON" copy d.img "$C" --force
# --- What shows a part of a member shows no PV of it.
truncate -s 64M e.img f.img
expect 0 '' "$TENON" raid create end --level 1 --metadata 1.0 e.img f.img
export TENON_DEVICES=$work/e.img:$work/f.img
expect 0 '' "$TENON" vg create vend md/end
loop e.img --sizelimit 62M
export TENON_DEVICES=$work/e.img:$work/f.img:$loop
expect 0 'counts as' "$TENON" pv list
expect 0 '' "$TENON" lv create vend/l --size 8M
expect 0 'md/end' "$TENON" vg show vend

# --- A device that is read-only: root may open it for writing, so the half of a mirror would be lost at the first write.
truncate -s 64M k.img m.img
export TENON_DEVICES=$work/k.img:$work/m.img
expect 0 '' "$TENON" raid create ro --level 1 k.img m.img
expect 0 '' "$TENON" vg create vro md/ro
loop k.img -r
expect 1 "$loop: the device is read-only" "$TENON" raid create other --level 1 "$loop" missing --force
expect 1 "$loop: the device is read-only" "$TENON" vg create other "$loop" --force
export TENON_DEVICES=$loop:$work/m.img
expect 1 "$loop: the device is read-only" "$TENON" lv create vro/l --size 8M
expect 1 "$loop: the device is read-only" "$TENON" raid fail ro m.img
expect 0 '^ro .* 2 +2 ' "$TENON" raid list
# What is missing is told of once.
mv m.img away.img
export TENON_DEVICES=$work/k.img:$work/m.img
said=$("$TENON" lv create vro/l --size 8M 2>&1) && problem "a start without a member: $said"
grep -q 'place 1 is not' <<<"$said" || problem "$said"
grep -q 'read from the' <<<"$said" && problem "nothing is read: $said"

# --- A loop device is looked at once for all devices of a command, not for each.
if command -v strace >/dev/null && strace -qq -o strace.out true 2>/dev/null; then
	for i in {1..12}; do truncate -s 16M many$i.img; done
	export TENON_DEVICES="$work/many*.img"
	expect 0 '' "$TENON" vg create many many*.img
	expect 0 '' env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o strace.out -e trace=openat "$TENON" lv create many/l --size 4M
	looked=$(grep -c "block/${loop#/dev/}/loop/backing_file" strace.out)
	[ "$looked" -ge 1 ] && [ "$looked" -le 4 ] || problem "$loop was looked at $looked times"
fi
finish
