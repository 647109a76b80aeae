#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Level 0 gets a third member, which goes by way of level 4 without parity: what mdadm and md left in the middle is read here, written to, carried
# on and taken back to level 0, and md assembles that; what we left in the middle md carries on.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
rig_known_data known 24
digest() { head -c 24M | md5sum | cut -d ' ' -f 1; }
known=$(digest <known)
truncate -s 16M their.0 their.1 their.2 our.0 our.1 our.2

# Slowly, so that it can be stopped on the way.
rig_boot uml --name theirs --disk their.0 --disk their.1 --disk their.2 --disk known:ro --with mdadm --modules "raid0 raid456" --memory 384M --script - <<'GUEST' || rig_fail "md cannot make it"
set -e
md=/sys/block/md0/md
echo 300 >/proc/sys/dev/raid/speed_limit_max
echo 100 >/proc/sys/dev/raid/speed_limit_min
yes | mdadm --create /dev/md0 --run --name=r0 --level=0 --chunk=64K --raid-devices=2 $DISK0 $DISK1 2>&1
dd if=$DISK3 of=/dev/md0 bs=1M conv=fsync 2>/dev/null || :
mdadm --grow /dev/md0 --raid-devices=3 --add $DISK2 2>&1
until [ "$(cat $md/reshape_position)" != none ] && [ "$(cat $md/reshape_position)" -gt 1000 ]; do sleep 0.1; done
for pid in $(pidof mdadm); do kill -9 $pid; done
mdadm --stop /dev/md0 2>&1
GUEST
mdadm --examine their.0 >examined
grep -q "Reshape pos'n : [1-9]" examined || { cat examined; rig_fail "it is not in the middle of it"; }
[ "$("$TOOL" assemble -r their.? -- cat 2>>log | digest)" = "$known" ] || rig_fail "what md left is read as other data"
"$TOOL" assemble -n their.? -- write 64K 256K 9 write 20M 1M 9 flush crash 2>>log
"$TOOL" assemble their.? -- verify 64K 256K 9 verify 20M 1M 9 wait >/dev/null 2>>log || { tail -3 log; rig_fail "it does not go on"; }
"$TENON" raid grow r0 --level 0 --device their.0 --device their.1 --device their.2 2>>log || { tail -3 log; rig_fail "it does not become level 0"; }
"$TOOL" assemble -r their.? -- verify 64K 256K 9 verify 20M 1M 9 >/dev/null 2>>log || rig_fail "it lost what was written"
ended=$("$TOOL" assemble -r their.? -- cat 2>>log | digest)

# Not cut off: md starts no level 4 without a member that was dirty.
"$TOOL" create r0 -l 0 -k 64K our.0 our.1 -- fill known rate 1M more 3 1 add our.2 devices 3 until 30 write 64K 256K 7 write 20M 1M 7 flush status \
	>/dev/null 2>>log || { tail -3 log; rig_fail "it cannot begin"; }
mdadm --examine our.0 >examined
grep -q "Reshape pos'n : [1-9]" examined || { cat examined; rig_fail "ours is not in the middle of it"; }
ours=$("$TOOL" assemble -r our.? -- cat 2>>log | digest)

rig_boot uml --name judge --disk their.0 --disk their.1 --disk their.2 --disk our.0 --disk our.1 --disk our.2 --with mdadm --modules "raid0 raid456" \
	--memory 384M --script - <<'GUEST' || rig_fail "md does not take it"
set -e
md=/sys/block/md0/md
note() { echo "$(cat $md/level) $(cat $md/raid_disks) $(head -c 25165824 /dev/md0 | md5sum | cut -d " " -f 1)" >>/result/found; mdadm --stop /dev/md0 2>&1; }
mdadm --assemble --run /dev/md0 $DISK0 $DISK1 $DISK2 2>&1
note
mdadm --assemble --run /dev/md0 $DISK3 $DISK4 $DISK5 2>&1
until [ "$(cat $md/sync_action)" = idle ] && [ "$(cat $md/reshape_position)" = none ]; do sleep 0.05; done
note
GUEST
diff <(printf 'raid0 3 %s\nraid4 4 %s\n' "$ended" "$ours") "$(rig_results judge)/found" || rig_fail "md finds other data"
echo "level 0 to a third member, one begun by md, one by tenon"
