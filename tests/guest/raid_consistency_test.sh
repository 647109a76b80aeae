#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What an array goes by after a crash is changed, by mdadm --grow --consistency-policy and by tenon raid grow --consistency, in turn: each goes on
# with what the other made, and md, killed, or short of a member, finds the data by the log that tenon gave an array.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
# With 8 GiB and more mdadm leaves 64 KiB for a bitmap, which is the room of a log that comes later.
disks='p0 p1 p2' args='--disk p0 --disk p1 --disk p2'
for i in $disks; do truncate -s 9G $i; done
head -c 16M /dev/urandom >random
truncate -s 16M random
policy() { "$TENON" raid show 0 --device 'p[012]' | sed -n 's/^Consistency: *//p'; }
area() { mdadm --examine p0 | sed -n 's/^ *PPL : //p'; }
begins() { set -- $1; "$TENON" copy md/0 - --degraded ${1:+--device $1} ${2:+--device $2} ${3:+--device $3} 2>>log | head -c 16M; }
same() { begins "$1" | cmp - random || { tail -3 log; rig_fail "other data: $2"; }; }

# --- md gives and takes one; tenon goes on with it.
rig_boot uml --name gives $args --disk random --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	policy=/sys/block/md0/md/consistency_policy
	mdadm --create /dev/md0 --run --level=5 --chunk=64 --bitmap=none --consistency-policy=resync --assume-clean --raid-devices=3 $DISK0 $DISK1 $DISK2
	cat $policy >/result/policies
	mdadm --grow /dev/md0 --consistency-policy=ppl; cat $policy >>/result/policies
	mdadm --grow /dev/md0 --consistency-policy=resync; cat $policy >>/result/policies
	mdadm --grow /dev/md0 --consistency-policy=ppl; cat $policy >>/result/policies
	dd if=$DISK3 of=/dev/md0 bs=64k count=256 conv=fsync 2>/dev/null
	mdadm --stop /dev/md0
GUEST
[ "$(tr '\n' ' ' <"$(rig_results gives)/policies")" = 'resync ppl resync ppl ' ] || rig_fail "md's policies: $(cat "$(rig_results gives)/policies")"
theirs=$(area)
[ "$theirs" ] || rig_fail "mdadm made no log: $(mdadm --examine p0)"
[ "$(policy)" = ppl ] || rig_fail "tenon says $(policy)"
same "$disks" "what md wrote"
same 'p1 p2' "what md wrote, without a member"
for step in resync bitmap resync ppl; do
	"$TENON" raid grow 0 --consistency $step --device 'p[012]' >>log 2>&1 || { tail -3 log; rig_fail "to $step"; }
	[ "$(policy)" = $step ] || rig_fail "it was to be $step and is $(policy)"
done
[ "$(area)" = "$theirs" ] || rig_fail "the log is elsewhere: $(area), by mdadm $theirs"

# --- tenon's, left dirty, is carried out by md: whole, and without a member.
"$TOOL" assemble $disks -- write 0 1M 1 write 2M 100K 2 write 5M 4K 3 flush crash >>log 2>&1 || :
mdadm --examine p0 | grep -q 'State : active' || rig_fail "tenon's array is not dirty"
begins 'p1 p2' >random
rig_boot uml --name carries $args --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	mdadm --assemble --run /dev/md0 $DISK1 $DISK2 2>&1
	cat /sys/block/md0/md/consistency_policy >/result/policies
	dd if=/dev/md0 bs=1M count=16 2>/dev/null | md5sum >>/result/policies
	mdadm --grow /dev/md0 --consistency-policy=resync; cat /sys/block/md0/md/consistency_policy >>/result/policies
	mdadm --grow /dev/md0 --bitmap=internal; cat /sys/block/md0/md/consistency_policy >>/result/policies
	mdadm --stop /dev/md0
GUEST
diff - "$(rig_results carries)/policies" <<END || rig_fail "md says otherwise"
ppl
$(md5sum <random)
resync
bitmap
END
[ "$(policy)" = bitmap ] || rig_fail "not a bitmap"
same 'p1 p2' "after md's changes"
"$TENON" raid grow 0 --consistency ppl --device 'p[012]' >said 2>&1 && rig_fail "a log beside a bitmap"
grep -q 'has a bitmap' said || { cat said; rig_fail "it does not say why"; }
