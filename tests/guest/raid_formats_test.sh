#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the real md and dm-raid write of 0.90 superblocks, partial parity logs, journals and dm-raid superblocks: decoded
# and encoded again it is the same, and what it says is what mdadm says. The guest is killed while arrays with log and journal are
# being written.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
LOOK=$TOP/build/tests/helpers/md_formats
[ -x "$LOOK" ] || rig_skip "md_formats is not built"
cd "$WORK"
disks=()
for i in 0 1 2 3 4 5 6 7 8; do
	truncate -s 24M d$i
	disks+=(--disk d$i)
done

rig_boot uml --name quiet "${disks[@]}" --with mdadm --with lvm2 --modules "raid456 dm-raid" --script - <<'GUEST'
	set -e
	mdadm --create /dev/md0 --run --metadata=0.90 --level=5 --chunk=16 --assume-clean --raid-devices=3 \
		$DISK0 $DISK1 $DISK2
	dd if=/dev/urandom of=/dev/md0 bs=64K count=16 conv=fsync
	mdadm --wait-clean /dev/md0 || :
	mdadm --stop /dev/md0
	mdadm --examine $DISK1 >/result/examine
	pvcreate $DISK3 $DISK4 $DISK5 $DISK6
	vgcreate -s 1M vg $DISK3 $DISK4 $DISK5 $DISK6
	lvcreate --type raid6_ls_6 -i 2 -L 4M -n six vg $DISK3 $DISK4 $DISK5 $DISK6 || lvcreate --type raid5 -i 3 -L 6M -n six vg
	lvs -a -o name,segtype >/result/lvs
	for i in 0 1 2 3; do dd if=/dev/mapper/vg-six_rmeta_$i of=/result/rmeta$i bs=4096 count=1; done
	vgchange -an
GUEST
result=$(rig_results quiet)
for i in 0 1 2; do "$LOOK" 90 d$i; done >said
events=$(sed -n 's/.*Events : 0*\.*//p' "$result/examine" | tr -d ' ')
uuid=$(sed -n 's/.*UUID : \([0-9a-f]*\):.*/\1/p' "$result/examine")
grep -qx "level 5 disks 3 events $events role 1 uuid $uuid" said || { cat said "$result/examine"; rig_fail "0.90"; }
for i in 0 1 2 3; do "$LOOK" dm-raid "$result/rmeta$i" || rig_fail "dm-raid"; done >said
grep -q "^level [56] layout [0-9]* place 3 of 4 stripe 128$" said || { cat said; rig_fail "dm-raid says otherwise"; }

rig_start uml --name busy "${disks[@]}" --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	for disk in $DISKS; do dd if=/dev/zero of=$disk bs=1M count=24; done
	mdadm --create /dev/md0 --run --level=5 --chunk=16 --consistency-policy=ppl --assume-clean --raid-devices=3 \
		$DISK0 $DISK1 $DISK2
	mdadm --create /dev/md1 --run --level=6 --chunk=16 --write-journal $DISK8 --assume-clean --raid-devices=4 \
		$DISK3 $DISK4 $DISK5 $DISK6
	echo writing
	i=0
	while :; do
		for md in /dev/md0 /dev/md1; do
			dd if=/dev/urandom of=$md bs=4096 count=3 seek=$((i * 37 % 2000)) oflag=direct conv=notrunc 2>/dev/null
		done
		i=$((i + 1))
		[ $i != 20 ] || echo enough
	done
GUEST
rig_await 100 grep -q enough "$(rig_console busy)"
rig_stop busy
for i in 0 1 2; do "$LOOK" ppl d$i || rig_fail "ppl of d$i"; done | tee said
grep -qv "entries 0$" said || rig_fail "no log has an entry"
"$LOOK" journal d8 | tee said
read -r _ _ _ data _ parity _ flush _ good <said
[ "$data" -gt 5 ] && [ "$parity" -gt 5 ] && [ "$good" -ge $((data + 2 * parity - 20)) ] || rig_fail "the journal says otherwise"
