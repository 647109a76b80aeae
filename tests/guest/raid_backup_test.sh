#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A reshape in place that was killed in the middle here: mdadm takes tenon's backup file, and the real md goes on to the end. What has no
# piece, and a file of another array, mdadm refuses, as tenon does.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
rig_known_data known 16
expected=$(head -c 16M known | md5sum | cut -d ' ' -f 1)
truncate -s 12M a.img b.img c.img
export TENON_DEVICES="$WORK/[a-c].img"
"$TENON" raid create r --level 5 --chunk 64K --metadata 1.0 --bitmap none --assume-clean a.img b.img c.img >log
"$TENON" copy known md/r >>log
rig_daemon served "$TENON" serve --socket-dir s md/r
rig_await 20 grep -q ^ready served.log
"$TENON" raid speed r --min 64K --max 256K >>log
"$TENON" raid grow r --chunk 32K --backup-file kept >>log
moved() { "$TENON" raid show r --json | python3 -c 'import json, sys; sys.exit(not json.load(sys.stdin)["progress"]["position_bytes"] > 0)'; }
rig_await 60 moved
{ kill -9 -- "-${RIG_DAEMON[served]}"; wait "${RIG_DAEMON[served]}"; } 2>/dev/null || :
mdadm --examine a.img >examined
grep -q "Reshape pos'n : [1-9]" examined || { cat examined; rig_fail "it is not in the middle"; }
# The same without its pieces.
cp kept none
for at in 48 80; do dd if=/dev/zero of=none bs=1 seek=$at count=16 conv=notrunc status=none; done
"$TENON" raid rebuild r --backup-file none >refused 2>&1 && rig_fail "a backup without pieces was taken"
grep -q 'has nothing, as of sector' refused || { cat refused; rig_fail "another reason"; }

# mdadm 4.2 has forked what watches over the reshape when it crashes (a descriptor that it closed before), so what it returns counts for
# nothing. What watches may miss the end, and leaves sync_max where the reshape last was, where a check would stand for ever: when the
# reshape is over it is ended, and what it set is set back.
cp a.img judged0; cp b.img judged1; cp c.img judged2
rig_boot uml --disk judged0 --disk judged1 --disk judged2 --file kept --file none --with mdadm --modules raid456 --script - <<'GUEST'
set -e
md=/sys/block/md0/md
mdadm --assemble /dev/md0 --verbose --backup-file=/root/none $DISKS >/result/none 2>&1 && exit 9
mdadm --stop /dev/md0 2>/dev/null || :
mdadm --assemble /dev/md0 --verbose --backup-file=/root/kept $DISKS >/result/kept 2>&1 || echo "mdadm: $?"
over() { read -r position <$md/reshape_position && [ "$position" = none ] && [ "$(cat $md/sync_action)" = idle ]; }
n=0
until over; do sleep 0.1; n=$((n + 1)); [ $n != 3000 ] || { cat /result/kept $md/reshape_position $md/sync_action; exit 8; }; done
n=0
until ! watching=$(pidof mdadm); do sleep 0.1; n=$((n + 1)); [ $n -lt 20 ] || kill -9 $watching; done
echo 0 >$md/suspend_hi
echo 0 >$md/suspend_lo
echo max >$md/sync_max
echo check >$md/sync_action
until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.1; done
echo "$(cat $md/chunk_size) $(cat $md/mismatch_cnt) $(head -c 16777216 /dev/md0 | md5sum | cut -d ' ' -f 1)" >/result/judged
mdadm --stop /dev/md0
GUEST
grep -q 'backup' "$(rig_results)/none" || { cat "$(rig_results)/none"; rig_fail "mdadm's reason is another"; }
[ "$(rig_result judged)" = "32768 0 $expected" ] || rig_fail "md: $(rig_result judged), expected 32768 0 $expected"
echo "mdadm and md went on with it"
