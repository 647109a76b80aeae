#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Bitmaps in a file (mdadm --bitmap=/path), which superblocks say nothing of: after a crash tenon makes all of such an
# array agree; a member that missed writes gets all of it; and after writes of ours md does not believe the file, so that a
# member which it would bring back by the file is not brought back with old data.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
command -v mke2fs >/dev/null || rig_skip 'there is no mke2fs here'
cd "$WORK"
exec 2>&1
export TENON_DEVICES="$WORK/[ab]?"
run() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "tenon $*"; }; }
truncate -s 24M a0 a1 b0 b1
truncate -s 16M files
mke2fs -q -t ext2 -b 1024 files # mdadm takes bitmaps on ext2 and ext3 only
head -c 4M /dev/urandom >old
head -c 4M /dev/urandom >new

# a lost a member while the file counts; b was in use when the power went, and its copies are made to differ.
rig_boot uml --name first --disk a0 --disk a1 --disk b0 --disk b1 --disk files --file old --with mdadm \
	--modules "raid1 ext4" --script - <<'GUEST'
	set -e
	mount -t ext2 $DISK4 /mnt
	for name in a b; do
		[ $name = a ] && members="$DISK0 $DISK1" || members="$DISK2 $DISK3"
		mdadm --create /dev/md/$name --name=$name --homehost=any --run --level=1 --bitmap=/mnt/$name --bitmap-chunk=64K \
			--assume-clean --raid-devices=2 $members || { echo 0 >/result/files; exit 0; }
		dd if=/root/old of=/dev/md/$name bs=1M oflag=direct
	done
	grep -c 'file: /mnt/' /proc/mdstat >/result/files
	mdadm /dev/md/a --fail $DISK1 --remove $DISK1
	dd if=/dev/zero of=/dev/md/a bs=64k count=1 seek=100 oflag=direct
	mdadm --stop /dev/md/a
	echo 0 >/sys/block/$(basename $(readlink -f /dev/md/b))/md/safe_mode_delay
	dd if=/root/old of=/dev/md/b bs=1M count=1 oflag=direct
	# An orderly end would say that it is clean: what a power cut would leave is kept now.
	dd if=$DISK2 of=/result/b0 bs=1M count=1 iflag=direct; dd if=$DISK3 of=/result/b1 bs=1M count=1 iflag=direct
GUEST
case $(rig_result files) in
2) ;;
0) rig_skip 'this mdadm or md makes no bitmaps in files' ;;
*) rig_fail 'md has other bitmaps' ;;
esac
for image in b0 b1; do rig_result $image | dd of=$image bs=1M conv=notrunc iflag=fullblock 2>/dev/null; done
mdadm --examine b0 | grep -q 'State : active' || { mdadm --examine b0; rig_fail 'b: md calls it clean'; }
printf x | dd of=b1 bs=1 seek=20M conv=notrunc 2>/dev/null # far behind what the file marks
run raid rebuild b
run raid check b
mdadm --examine b0 | grep -q 'State : clean' || rig_fail 'b: not clean after a resync'
cmp -n 4M -i 20M b0 b1 || rig_fail 'b: not all of it was made to agree'

run copy --force new md/a
rig_boot uml --name second --disk a0 --disk a1 --disk files --file new --with mdadm --modules "raid1 ext4" --script - <<'GUEST'
	set -e
	mount -t ext2 $DISK2 /mnt
	mdadm --assemble --run /dev/md0 --bitmap=/mnt/a $DISK0
	mdadm --examine-bitmap /mnt/a | grep Bitmap >/result/bitmap
	mdadm /dev/md0 --re-add $DISK1 && echo yes >/result/taken || echo no >/result/taken
	until [ "$(cat /sys/block/md0/md/sync_action)" = idle ]; do sleep 0.05; done
	cmp -n 4194304 /dev/md0 /root/new && echo same >/result/data
	mdadm --stop /dev/md0
	umount /mnt
GUEST
[ "$(rig_result data)" = same ] || rig_fail 'a: md reads other data'
grep -q '(100.0%)' "$(rig_results second)/bitmap" || { rig_result bitmap; rig_fail 'a: md believes a file that our writes are not in'; }

# What came back here has all of it, and md agrees. (What md took back above is a member already.)
[ "$(rig_result taken)" = yes ] || run raid add a a1
run raid rebuild a
rig_boot uml --name third --disk a0 --disk a1 --file new --with mdadm --modules raid1 --script - <<'GUEST'
	set -e
	mdadm --assemble /dev/md0 $DISK0 $DISK1
	echo check >/sys/block/md0/md/sync_action
	until [ "$(cat /sys/block/md0/md/sync_action)" = idle ]; do sleep 0.05; done
	cat /sys/block/md0/md/mismatch_cnt /sys/block/md0/md/degraded | tr '\n' ' ' >/result/counts
	mdadm --stop /dev/md0
	mdadm --assemble --run /dev/md0 $DISK1
	cmp -n 4194304 /dev/md0 /root/new && echo same >/result/data
	mdadm --stop /dev/md0
GUEST
[ "$(rig_result counts)" = '0 0 ' ] || rig_fail "a: mismatch_cnt and degraded are $(rig_result counts)"
[ "$(rig_result data)" = same ] || rig_fail 'a: what was brought back has other data'
