#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A reshape in place that was killed in the middle here: mdadm takes tenon's backup file, and the real md goes on to the end. What has no
# piece, and a file of another array, mdadm refuses, as tenon does.
# timeout: 200
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

# mdadm 4.2 may crash once it has restored, with backups of its own too, and this kernel then stood still in 8 of 17 boots: after that from the
# same disks again. What it says otherwise counts.
judge() {
	cp a.img judged0; cp b.img judged1; cp c.img judged2
	rig_boot uml --deadline 20 --disk judged0 --disk judged1 --disk judged2 --file kept --file none --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	md=/sys/block/md0/md
	mdadm --assemble /dev/md0 --verbose --backup-file=/root/none $DISKS >/result/none 2>&1 && exit 9
	mdadm --stop /dev/md0 2>/dev/null || :
	over() { read -r position <$md/reshape_position && [ "$position" = none ]; }
	for again in 1 2 3; do
		mdadm --assemble /dev/md0 --verbose --backup-file=/root/kept $DISKS >/result/kept 2>&1 || echo "mdadm: $?"
		n=0
		until over || [ $n = 20 ]; do sleep 0.1; n=$((n + 1)); done
		! over || break
		cat /result/kept $md/reshape_position
		mdadm --stop /dev/md0 || :
	done
	over
	until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.1; done
	echo check >$md/sync_action
	until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.1; done
	echo "$(cat $md/chunk_size) $(cat $md/mismatch_cnt) $(head -c 16777216 /dev/md0 | md5sum | cut -d ' ' -f 1)" >/result/judged
	mdadm --stop /dev/md0
GUEST
}
for try in 1 2 3 4 5 6; do
	rc=0
	judge 2>judging || rc=$?
	[ $rc = 124 ] || break
done
[ $rc = 0 ] || { cat judging; rig_fail "md does not go on: $rc"; }
grep -q 'backup' "$(rig_results)/none" || { cat "$(rig_results)/none"; rig_fail "mdadm's reason is another"; }
[ "$(rig_result judged)" = "32768 0 $expected" ] || rig_fail "md: $(rig_result judged), expected 32768 0 $expected"
echo "mdadm and md went on with it, at boot $try"
