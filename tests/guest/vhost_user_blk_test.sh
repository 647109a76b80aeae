#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Our vhost-user-blk server with a stock Linux guest in QEMU as front-end: writing, reading, flush,
# discard, write-zeroes, serial number, cache mode, two queues, a read-only disk, guest reboot in between
# (a second guest finds what the first wrote).
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
server=$TOP/build/tests/helpers/blk_server
[ -x "$server" ] || rig_skip "$server is not built"

truncate -s 64M "$WORK/disk.img"
head -c 1M /dev/urandom >"$WORK/noise"
cp "$WORK/noise" "$WORK/ro.img"
sum=$(sha256sum <"$WORK/noise")
rig_daemon disk "$server" "$WORK/disk.sock" file "$WORK/disk.img"
rig_daemon ro "$server" "$WORK/ro.sock" file "$WORK/ro.img" read-only
rig_await 5 listens "$WORK/disk.sock"
rig_await 5 listens "$WORK/ro.sock"

rig_boot tcg --name first --disk vhost-user:disk.sock --disk vhost-user:ro.sock \
	--with e2fsprogs --file noise --script - <<'GUEST'
set -ex
cd /sys/block/vda
cat serial queue/discard_max_bytes queue/write_zeroes_max_bytes queue/logical_block_size \
	cache_type ro /sys/block/vdb/ro
[ "$(cat cache_type)" = "write back" ]
[ "$(cat ro)" = 0 ]
[ "$(cat /sys/block/vdb/ro)" = 1 ]
[ "$(cat queue/discard_max_bytes)" -gt 0 ]
[ "$(cat queue/write_zeroes_max_bytes)" -gt 0 ]
ls mq >/result/queues
# A file system: metadata, data, flushes; then its discard.
/sbin/mke2fs -q -t ext4 /dev/vda
mkdir -p /mnt
mount -t ext4 -o discard /dev/vda /mnt
cp /root/noise /mnt/noise
dd if=/dev/zero of=/mnt/big bs=1M count=16 conv=fsync
rm /mnt/big
sync
fstrim /mnt || blkdiscard -z -o 50M -l 4M /dev/vda || :
umount /mnt
echo "write through" >cache_type
[ "$(cat cache_type)" = "write through" ]
dd if=/root/noise of=/dev/vda bs=4k count=16 seek=15000 oflag=direct
sha256sum </dev/vdb >/result/ro.sum
if dd if=/root/noise of=/dev/vdb bs=512 count=1 oflag=direct 2>/dev/null; then exit 1; fi
GUEST
[ "$(rig_result ro.sum first)" = "$sum" ] || rig_fail "the read-only disk reads wrongly"

rig_boot tcg --name second --disk vhost-user:disk.sock --with e2fsprogs --script - <<'GUEST'
set -ex
e2fsck -fn /dev/vda
mkdir -p /mnt
mount -t ext4 -o ro /dev/vda /mnt
sha256sum </mnt/noise >/result/sum
GUEST
[ "$(rig_result sum second)" = "$sum" ] || rig_fail "the second guest reads something else"
cmp -n 65536 "$WORK/noise" "$WORK/disk.img" 0 61440000 || rig_fail "direct writes are not in the image"
[ "$(stat -c %a "$WORK/disk.sock")" = 600 ] || rig_fail "the socket's mode is not 0600"

# Both guests are gone: the servers use no CPU, end at once, and leave no socket behind.
pid=${RIG_DAEMON[disk]}
is_idle() { # for half a second; it may yet be busy with the end of the last guest
	local before
	before=$(cut -d' ' -f14,15 "/proc/$pid/stat")
	sleep 0.5
	[ "$before" = "$(cut -d' ' -f14,15 "/proc/$pid/stat")" ]
}
rig_await 10 is_idle || rig_fail "the idle server uses CPU time"
kill -TERM "$pid"
rig_await 5 test ! -S "$WORK/disk.sock"
# It says what it has done after the socket is gone.
rig_await 5 grep -q 'failed [0-9]* unsupported' "$WORK/disk.log"
cat "$WORK/disk.log"
grep -q 'failed 0 unsupported 0' "$WORK/disk.log" || rig_fail "requests failed"
