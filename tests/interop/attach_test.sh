#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon attach`: a volume as a loop device of this host. A real ext4 on it, mounted by the kernel, and what a machine then sees;
# who may have it; what is left when the server or the mount behind it is killed.
set -u
# In a mount namespace of its own: those that other tests make meanwhile would have copies of the mounts here, and the loop device
# be in use there.
if [ "$(id -u)" = 0 ] && [ -z "${ATTACH_APART-}" ] && unshare -m true 2>/dev/null; then
	ATTACH_APART=1 exec unshare -m "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
IO=$(realpath build/tests/helpers/block_io 2>/dev/null) || { echo 'block_io is not built'; exit 77; }
cd "$work" || exit 1
expect 2 'expected VG/LV' "$TENON" attach vg
expect 2 'give either' "$TENON" attach vg/l --shared --read-only
if command -v setpriv >/dev/null && [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --clear-groups test -x "$TENON"; then
	expect 1 "root's to make" setpriv --reuid=65534 --clear-groups "$TENON" attach vg/l
fi
[ "$(id -u)" = 0 ] || { expect 1 "root's to make" "$TENON" attach vg/l; echo 'the rest needs root'; exit $((failures > 0 ? 1 : 77)); }
[ -w /dev/fuse ] || { echo '/dev/fuse cannot be opened here'; exit 77; }
[ -w /dev/loop-control ] && losetup -f >/dev/null 2>&1 || { echo 'there are no loop devices here'; exit 77; }
command -v mkfs.ext4 >/dev/null || { echo 'mkfs.ext4 is not installed'; exit 77; }
device=
cleanup() {
	! mountpoint -q there || umount there
	[ -z "$device" ] || "$TENON" detach vg/l || losetup -d "$device"
	! mountpoint -q run/attached/vg/l || umount -l run/attached/vg/l
} >/dev/null 2>&1
truncate -s 256M a.img
export TENON_DEVICES=$work/a.img TENON_STATE_DIR=$work/state
disk=vhost-user:s/vg-l.sock
"$TENON" vg create vg a.img && "$TENON" lv create vg/l --size 64M || problem 'cannot make a volume'
expect 1 'no running server' "$TENON" attach vg/l
expect 1 'is not attached' "$TENON" detach vg/l
expect 1 'is no device that' "$TENON" detach /dev/loop-control
serve() {
	launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
	server=$launched
}
serve
expect 1 'vg/none: no running server serves it' "$TENON" attach vg/none
[ ! -e run/attached/vg/none ] || problem 'a folder is left'

# ---- A file system, mounted here, and then seen by a machine ----
device=$("$TENON" attach vg/l) || { problem 'attach'; exit 1; }
case $device in /dev/loop[0-9]*) ;; *) problem "it is called '$device'" ;; esac
[ "$(blockdev --getsize64 "$device")" = 67108864 ] || problem "its size is $(blockdev --getsize64 "$device")"
expect 1 "attached as $device already" "$TENON" attach vg/l
# What could not be read is not another volume's.
if command -v strace >/dev/null && strace -qq -o strace.out true 2>/dev/null; then
	shown=$(realpath "/sys/block/${device##*/}/loop/backing_file")
	expect 1 'which loop devices there are cannot be seen: Input/output error' \
		strace -f -qq -o strace.out -P "$shown" -e inject=read:error=EIO "$TENON" attach vg/l
fi
expect 0 '' mkfs.ext4 -q "$device"
mkdir there
mount "$device" there || problem 'mount'
dd if=/dev/urandom of=there/file bs=1M count=8 status=none
sum=$(md5sum <there/file)
sync -f there/file
# What was synced is on the disk that machines have: copied beside it, the journal is played.
expect 1 'hung up' "$IO" $disk verify 0 512 1
expect 1 'in use' "$TENON" detach vg/l
expect 1 'in use' "$TENON" detach "$device"
umount there
expect 0 '' "$TENON" detach "$device"
device=
[ ! -e run/attached/vg/l ] || problem 'a folder is left'
free() { "$TENON" copy --force $disk guest.img >/dev/null 2>&1; }
wait_for free
expect 0 '' e2fsck -fn guest.img
[ "$(debugfs -R 'cat file' guest.img 2>/dev/null | md5sum)" = "$sum" ] || problem 'a machine reads another file'
# And the other way round: a machine writes, the host reads.
debugfs -w -R "write $PWD/serve.out fromguest" guest.img >/dev/null 2>&1
expect 0 '' "$TENON" copy --force guest.img vg/l
device=$("$TENON" attach vg/l --read-only) || problem 'attach --read-only'
[ "$(blockdev --getro "$device")" = 1 ] || problem 'it can be written to'
mount -o ro "$device" there || problem 'mount of what a machine wrote'
cmp there/fromguest serve.out || problem 'the host reads another file'
umount there
expect 0 '' "$TENON" detach vg/l
device=

# ---- Who has it ----
mkfifo hold
"$IO" $disk hold <hold >held 2>&1 &
machine=$!
pids+=($machine)
exec 3>hold
wait_for grep -q holding held
expect 1 "vg/l: process $machine .*has it" "$TENON" attach vg/l
device=$("$TENON" attach vg/l --shared) || problem 'attach --shared'
expect 0 '' dd if=/dev/urandom of="$device" bs=64K count=1 oflag=direct
dd if="$device" of=piece bs=64K count=1 iflag=direct status=none
expect 0 '' "$TENON" detach vg/l
device=
exec 3>&-
wait $machine
"$TENON" copy --force $disk guest.img
cmp -n 65536 piece guest.img || problem 'shared, and not the same disk'

# ---- Several at once: one of them has it, and the others say so ----
for i in 1 2 3 4 5; do "$TENON" attach vg/l >at-once.$i 2>&1 & attaching[i]=$!; done
won=0
for i in 1 2 3 4 5; do
	if wait "${attaching[i]}"; then
		won=$((won + 1)) device=$(cat at-once.$i)
	else
		grep -q 'vg/l: is attached as /dev/loop[0-9]* already' at-once.$i || problem "at once: $(cat at-once.$i)"
	fi
done
[ $won = 1 ] || problem "$won of five have attached it at once"
expect 0 '' dd if=/dev/urandom of="$device" bs=64K count=1 oflag=direct

# ---- A volume that grows ----
expect 0 '' "$TENON" lv resize vg/l --size 96M
grown() { [ "$(blockdev --getsize64 "$device")" = 100663296 ]; }
wait_for grown
expect 0 '' dd if=/dev/urandom of="$device" bs=1M seek=95 count=1 oflag=direct
# Its mount is told to end with that: it does not wait for who waits for it to be looked at.
holder=$(basename run/mount-*.sock .sock) holder=${holder#mount-}
stop_process "$holder"
expect 0 '' "$TENON" lv resize vg/l --size 100M
kill "$holder"
kill -CONT "$holder"
timeout 25 tail --pid="$holder" -f /dev/null || problem 'the mount does not end after a resize'
"$TENON" detach vg/l --force >/dev/null 2>&1
device=$("$TENON" attach vg/l) || problem 'it cannot be attached again'
expect 0 '' dd if=/dev/urandom of="$device" bs=1M seek=99 count=1 oflag=direct

# ---- Space that is given back ----
expect 0 '' dd if=/dev/urandom of="$device" bs=1M count=100 conv=fsync
before=$(stat -c %b a.img)
expect 0 '' blkdiscard "$device"
[ "$(stat -c %b a.img)" -lt "$before" ] || problem 'a discard gives nothing back'

# ---- A server that is killed, and the mount behind it ----
kill -9 $server
wait $server 2>/dev/null
cut_off() { ! dd if="$device" of=piece bs=4K count=1 iflag=direct 2>said; }
wait_for cut_off # the mount has a lease, and hears of it in a moment
grep -q 'Input/output' said || problem "a device without a server: $(cat said)"
# Its mount is to come back; a machine that is faster does not get between.
holder=$(basename run/mount-*.sock .sock) holder=${holder#mount-}
stop_process "$holder"
serve
expect 1 'hung up' "$IO" $disk verify 0 512 1
expect 1 "vg/l: it is kept for process $holder .*attach" "$TENON" copy vg/l -
wait_for grep -q "was turned away: the device is kept for process $holder" serve.out || problem "not told: $(cat serve.out)"
kill -CONT "$holder"
back() { dd if="$device" of=piece bs=4K count=1 iflag=direct 2>/dev/null; }
wait_for back
process=$(basename run/mount-*.sock .sock)
kill -9 "${process#mount-}"
wait_for eval '! dd if="$device" of=piece bs=4K count=1 iflag=direct 2>/dev/null'
expect 1 'flushing: Input/output' "$TENON" detach vg/l
expect 0 '' "$TENON" detach vg/l --force
device=
[ -z "$(losetup -l -n -O NAME,BACK-FILE | grep "$work")" ] || problem 'a loop device is left'
device=$("$TENON" attach vg/l) || problem 'it cannot be attached again'
expect 0 '' "$TENON" detach vg/l
device=
# Nobody has it any more.
expect 0 '' "$IO" $disk write 0 512 1
[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'a volume as a block device'
