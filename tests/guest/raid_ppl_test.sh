#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Partial parity logs both ways. Guests are killed while md writes an array with a log: tenon carries out what the log says, and md finds
# parity right, also without a member. And md carries out what tenon left when it was killed, and finds the same data.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
digest() { md5sum | cut -d ' ' -f 1; }
args() { local i; for i in $1; do echo "--disk $i"; done; }

for i in 0 1 2 3; do truncate -s 24M p$i; done
rig_start uml --name killed $(args 'p0 p1 p2 p3') --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	mdadm --create /dev/md0 --run --level=5 --chunk=64 --consistency-policy=ppl --assume-clean --raid-devices=4 $DISKS
	dd if=/dev/urandom of=/dev/md0 bs=1M count=60 2>/dev/null || :
	sync
	i=0
	while :; do
		dd if=/dev/urandom of=/dev/md0 bs=4096 count=$((i % 40 + 1)) seek=$((i * 37 % 14000)) oflag=direct conv=notrunc 2>/dev/null
		i=$((i + 1))
		[ $i != 15 ] || echo enough
	done
GUEST
rig_await 100 grep -q enough "$(rig_console killed)"
rig_stop killed
for i in 0 1 2 3; do cp --sparse=always p$i q$i; cp --sparse=always p$i r$i; cp --sparse=always p$i s$i; done
mdadm --examine p0 | grep -q 'State : active' || rig_fail "md's array is not dirty"
# Whole: nothing is left to resync, if the logs were as they should be.
"$TOOL" assemble p0 p1 p2 p3 -- wait >log 2>&1 || { cat log; rig_fail "the logs cannot be carried out"; }
grep 'partial parity logs' log || rig_fail "no log was carried out"
"$TOOL" assemble -r p0 p1 p2 p3 -- cat 2>>log >whole
# Without a member: who only reads gets the same as who may write, and nothing is written.
before=$(md5sum q?)
"$TOOL" assemble -r q0 q1 q2 -- cat >looked 2>>log || rig_fail "degraded, read-only"
[ "$(md5sum q?)" = "$before" ] || rig_fail "reading wrote to a member"
"$TOOL" assemble q0 q1 q2 -- wait >>log 2>&1 || { tail -3 log; rig_fail "degraded"; }
"$TOOL" assemble -r q0 q1 q2 -- cat 2>>log | cmp - looked || { tail -3 log; rig_fail "who only looks reads otherwise"; }
# The command says so.
"$TENON" copy md/0 - --degraded --device 's[012]' 2>said | cmp - looked || { cat said; rig_fail "tenon copy reads otherwise"; }
grep -q 'its log has what its members have not.*`tenon raid assemble 0 --degraded`' said || { cat said; rig_fail "it does not say that it reads the log"; }
"$TENON" raid assemble 0 --degraded --device 's[012]' >>log 2>&1 || { tail -3 log; rig_fail "tenon raid assemble --degraded"; }
"$TENON" copy md/0 - --device 's[012]' 2>>log | cmp - <("$TOOL" assemble -r q0 q1 q2 -- cat 2>>log) || rig_fail "it reads otherwise after tenon raid assemble"
# What was being written just then may be old or new, or neither; nothing else differs.
"$TOOL" assemble -r q0 q1 q2 -- cat 2>>log >degraded
cmp -l whole degraded >differences || :
if [ -s differences ]; then
	span=$(($(tail -n 1 differences | awk '{ print $1 }') - $(head -n 1 differences | awk '{ print $1 }')))
	[ $span -lt $((41 * 4096)) ] || rig_fail "other data without a member, over $span bytes"
fi
rm whole degraded looked

# tenon writes, and is killed: it ends in the middle of many writes.
"$TOOL" assemble p0 p1 p2 p3 -- write 1M 4K 1 write 2M 100K 2 write 5M 1M 3 write 7M 12K 4 flush crash >>log 2>&1 || :
mdadm --examine p0 | grep -q 'State : active' || rig_fail "tenon's array is not dirty"
for i in 0 1 2 3; do cp --sparse=always p$i t$i; done
"$TOOL" assemble t0 t1 t2 t3 -- wait >>log 2>&1 || rig_fail "tenon's own logs"
ours=$("$TOOL" assemble -r t0 t1 t2 t3 -- cat 2>>log | digest)
# A new member of an array with a log has one, too.
"$TOOL" assemble r0 r1 r2 r3 -- wait fail r3 remove r3 >>log 2>&1 || rig_fail "failing"
dd if=/dev/urandom of=r3 bs=1M count=24 conv=notrunc status=none
"$TOOL" assemble r0 r1 r2 -- add r3 wait write 3M 20K 5 >>log 2>&1 || { tail -3 log; rig_fail "adding"; }
theirs=$("$TOOL" assemble -r r0 r1 r2 r3 -- cat 2>>log | digest)

# Those that tenon made, and left dirty: logs behind superblocks, and before them.
made() {
	for i in 0 1 2; do truncate -s 24M $1$i; done
	"$TENON" raid create $1 --level 5 --chunk 64K --consistency ppl --metadata $2 ${1}0 ${1}1 ${1}2 >>log 2>&1 || { tail -3 log; rig_fail "creating"; }
	"$TOOL" assemble ${1}0 ${1}1 ${1}2 -- write 0 5M 1 write 5M 4K 2 flush crash >>log 2>&1 || :
	for i in 0 1 2; do cp --sparse=always $1$i m$i; done
	"$TOOL" assemble m0 m1 -- wait >>log 2>&1 || rig_fail "degraded, its own"
	made=$("$TOOL" assemble -r m0 m1 -- cat 2>>log | digest)
}
made o 1.0
at_end=$made
made n 1.2

# SETS of name and members: a guest has at most 15 disks.
judged() {
	local disks= lines= at=0 set
	for set in "$@"; do
		disks+=" ${set#* }" lines+="${set%% *}"
		for _ in ${set#* }; do lines+=" \$DISK$at" at=$((at + 1)); done
		lines+=$'\n'
	done
	{
		printf 'sets="%s"\n' "$lines"
		cat <<-'GUEST'
		set -e
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
		echo "$sets" | while read -r name members; do
			[ "$name" ] || continue
			mdadm --assemble /dev/md0 $members 2>&1
			resync=$(cat $md/resync_start)
			echo check >$md/sync_action; idle
			echo "$name $resync $(cat $md/mismatch_cnt) $(cat $md/degraded) $(cat $md/consistency_policy) $(md5sum </dev/md0 | cut -d ' ' -f 1)" >>/result/judged
			mdadm --stop /dev/md0
		done
		GUEST
	} | rig_boot uml --name "judge${1%% *}" $(args "$disks") --with mdadm --modules raid456 --script -
	cat "$(rig_results "judge${1%% *}")/judged" >>judged
}
judged 'p p0 p1 p2 p3' 't t0 t1 t2 t3' 'r r0 r1 r2 r3'
judged 'n n0 n1 n2' 'o o0 o1 o2'
cat judged
diff - judged <<END || rig_fail "md says otherwise"
p none 0 0 ppl $ours
t none 0 0 ppl $ours
r none 0 0 ppl $theirs
n none 0 0 ppl $made
o none 0 0 ppl $at_end
END
