#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Bitmaps that are given to arrays later, and taken away, both ways: what tenon added mdadm -X reads and md uses, what md
# added tenon uses and removes; superblocks at the end and at the start.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
exec 2>&1
run() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "tenon $*"; }; }
bits() { "$TENON" raid examine "$1" --json | python3 -c 'import json, sys; d = json.load(sys.stdin)[0]; print(d["bitmap_chunk_bytes"], d["bitmap_dirty"])'; }

# Ours: a and c get one, b loses one.
truncate -s 24M a0 a1 b0 b1 c0 c1 c2 d0 d1 e0 e1 e2
TENON_DEVICES="$WORK/[a-e]?"
export TENON_DEVICES
run raid create a --level 1 --metadata 1.0 a0 a1
run raid create b --level 1 --bitmap internal --bitmap-chunk 64K b0 b1
run raid create c --level 5 --chunk 64K c0 c1 c2
head -c 10M /dev/urandom >data
for array in a b c; do run copy --force data md/$array; done
run raid bitmap a add --chunk 64K
run raid bitmap b remove
run raid bitmap c add --chunk 128K
for image in a0 a1 c0 c2; do mdadm --examine $image | grep -q 'Internal Bitmap' || rig_fail "$image: mdadm sees no bitmap"; done
mdadm --examine b0 | grep -q 'Internal Bitmap' && rig_fail 'b0: mdadm sees the bitmap that was removed'

rig_boot uml --name first --disk a0 --disk a1 --disk b0 --disk b1 --disk c0 --disk c1 --disk c2 --disk d0 --disk d1 \
	--disk e0 --disk e1 --disk e2 --file data --with mdadm --modules "raid1 raid456" --script - <<'GUEST'
	set -e
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	idle() { until [ "$(cat /sys/block/$1/md/sync_action)" = idle ]; do sleep 0.05; done; }
	mdadm -X $DISK1 >/result/a.bitmap; mdadm -X $DISK5 >/result/c.bitmap
	mdadm --assemble /dev/md0 $DISK0 $DISK1; mdadm --assemble /dev/md1 $DISK2 $DISK3; mdadm --assemble /dev/md2 $DISK4 $DISK5 $DISK6
	cat /proc/mdstat >/result/mdstat
	for md in md0 md1 md2; do
		echo check >/sys/block/$md/md/sync_action; idle $md
		head -c 10485760 /dev/$md | cmp - /root/data || echo "$md: other data" >>/result/faults
		[ "$(cat /sys/block/$md/md/mismatch_cnt)" = 0 ] || echo "$md: members differ" >>/result/faults
	done
	# md keeps it: a member that was away gets only what changed.
	mdadm /dev/md0 --fail $DISK1 --remove $DISK1
	dd if=/dev/zero of=/dev/md0 bs=64k count=1 seek=7 oflag=direct 2>/dev/null
	mdadm /dev/md0 --re-add $DISK1; idle md0
	# md takes it for one in sync a moment after it is idle, or begins a moment after it was told to.
	n=0
	until mdadm --detail /dev/md0 | grep -q 'active sync.*'${DISK1##*/}; do
		n=$((n + 1)); [ $n -lt 300 ] || { mdadm --detail /dev/md0 >>/result/faults; break; }
		sleep 0.1
	done
	mdadm --stop /dev/md0; mdadm --stop /dev/md1; mdadm --stop /dev/md2
	# md's own.
	mdadm --create /dev/md0 --run --level=1 --metadata=1.0 --bitmap=none --assume-clean --raid-devices=2 $DISK7 $DISK8
	mdadm --create /dev/md1 --run --level=5 --chunk=64 --bitmap=none --assume-clean --raid-devices=3 $DISK9 $DISK10 $DISK11
	for md in md0 md1; do dd if=/root/data of=/dev/$md bs=1M oflag=direct 2>/dev/null; done
	mdadm --grow /dev/md0 --bitmap=internal --bitmap-chunk=64K; mdadm --grow /dev/md1 --bitmap=internal --bitmap-chunk=64K
	echo repair >/sys/block/md1/md/sync_action; idle md1
	mdadm --stop /dev/md0; mdadm --stop /dev/md1
GUEST
[ ! -e "$(rig_results first)/faults" ] || { cat "$(rig_results first)/faults"; rig_fail 'md finds fault'; }
grep -q 'Chunksize : 64 KB' "$(rig_results first)/a.bitmap" || { cat "$(rig_results first)/a.bitmap"; rig_fail 'a: mdadm -X'; }
grep -q 'Chunksize : 128 KB' "$(rig_results first)/c.bitmap" || rig_fail 'c: mdadm -X'
grep -q ' 0 dirty' "$(rig_results first)/c.bitmap" || rig_fail 'c: bits are set'
[ "$(grep -c 'bitmap: 0/' "$(rig_results first)/mdstat")" = 2 ] || { cat "$(rig_results first)/mdstat"; rig_fail 'md uses other bitmaps'; }

# Theirs: used, and taken away; and ours goes, too.
[ "$(bits d0)" = '65536 0' ] && [ "$(bits e2)" = '65536 0' ] || rig_fail "md's bitmaps: $(bits d0), $(bits e2)"
for set in d e; do
	uuid=$("$TENON" raid examine ${set}0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["array_uuid"])')
	run raid show "md/$uuid"
	"$TENON" copy "md/$uuid" - 2>>log | head -c 10M | cmp - data || rig_fail "$set: other data"
	run raid bitmap "md/$uuid" remove
	[ $set = e ] || run raid bitmap "md/$uuid" add
done
run raid bitmap a remove
rig_boot uml --name second --disk a0 --disk a1 --disk d0 --disk d1 --disk e0 --disk e1 --disk e2 --with mdadm --modules "raid1 raid456" --script - <<'GUEST'
	set -e
	mdadm --assemble /dev/md0 $DISK0 $DISK1; mdadm --assemble /dev/md1 $DISK2 $DISK3; mdadm --assemble /dev/md2 $DISK4 $DISK5 $DISK6
	cat /proc/mdstat >/result/mdstat
	for md in md0 md1 md2; do cat /sys/block/$md/md/degraded; done | sort -u >/result/degraded
	mdadm --stop /dev/md0; mdadm --stop /dev/md1; mdadm --stop /dev/md2
GUEST
[ "$(rig_result degraded second)" = 0 ] || rig_fail 'md starts without a member'
[ "$(grep -c 'bitmap:' "$(rig_results second)/mdstat")" = 1 ] || { rig_result mdstat second; rig_fail 'bitmaps in md'; }
echo "bitmaps both ways"
