#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Write journals both ways. Guests are killed while md writes arrays with a journal, written through and written back: tenon carries out
# what the journal says, whole and without a member, and md finds parity right and reads the same. And md carries out what tenon
# left when it was killed. Without its journal an array is refused. Journals that tenon gave to arrays, to its own and to one of md's that
# had lost its own, are md's too.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
digest() { md5sum | cut -d ' ' -f 1; }
args() { local i; for i in $1; do echo "--disk $i"; done; }
steps() { "$TOOL" assemble "$@" >>log 2>&1 || { tail -n 3 log; rig_fail "$*"; }; }
ours() { "$TOOL" assemble -r "$@" -- cat 2>>log | digest; }

for i in a0 a1 a2 aj b0 b1 b2 b3 bj; do truncate -s 24M $i; done
rig_start uml --name killed $(args 'a0 a1 a2 aj b0 b1 b2 b3 bj') --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	mdadm --create /dev/md0 --run --level=5 --chunk=64 --write-journal $DISK3 --assume-clean --raid-devices=3 $DISK0 $DISK1 $DISK2
	mdadm --create /dev/md1 --run --level=6 --chunk=16 --write-journal $DISK8 --assume-clean --raid-devices=4 \
		$DISK4 $DISK5 $DISK6 $DISK7
	echo write-back >/sys/block/md1/md/journal_mode
	for md in /dev/md0 /dev/md1; do dd if=/dev/urandom of=$md bs=1M count=20 2>/dev/null; done
	sync
	i=0
	while :; do
		for md in /dev/md0 /dev/md1; do
			dd if=/dev/urandom of=$md bs=4096 count=$((i % 9 + 1)) seek=$((i * 37 % 4000)) oflag=direct conv=notrunc 2>/dev/null
		done
		i=$((i + 1))
		[ $i != 30 ] || echo enough
	done
GUEST
rig_await 100 grep -q enough "$(rig_console killed)"
rig_stop killed
for i in a0 a1 a2 aj b0 b1 b2 b3 bj; do cp --sparse=always $i whole.$i; cp --sparse=always $i less.$i; done
# Who only reads gets what is there once the journal is carried out, whole and without members, and nothing is written.
before=$(md5sum a? b?)
looked=$("$TENON" copy md/1 - --device 'b[0123j]' 2>said | digest)
grep -q 'its log has what its members have not.*`tenon raid assemble 1`' said || { cat said; rig_fail "it does not say that it reads the journal"; }
[ "$("$TENON" copy md/1 - --device 'b[13j]' 2>>log | digest)" = "$looked" ] || rig_fail "level 6 with its journal reads otherwise without two members"
looked0=$(ours a0 a1 a2 aj)
[ "$(ours a0 a2 aj)" = "$looked0" ] || rig_fail "level 5 with its journal reads otherwise without a member"
[ "$(md5sum a? b?)" = "$before" ] || rig_fail "reading wrote to a member"
for i in 0 1 2 3 j; do cp --sparse=always b$i c$i; done
"$TENON" raid assemble 1 --device 'c[0123j]' >>log 2>&1 || { tail -3 log; rig_fail "tenon raid assemble"; }
carried=$("$TENON" copy md/1 - --device 'c[0123j]' 2>>log | digest)
steps a0 a1 a2 aj -- wait
steps b0 b1 b2 b3 bj -- wait
grep 'of the journal carried out' log || rig_fail "nothing was carried out"
grep -q '[1-9][0-9]* of them had no parity' log || rig_fail "no data without parity were in the journal"
a=$(ours a0 a1 a2 aj)
b=$(ours b0 b1 b2 b3 bj)
[ "$carried" = "$b" ] || rig_fail "level 6 reads otherwise after tenon raid assemble"
[ "$looked" = "$b" ] && [ "$looked0" = "$a" ] || rig_fail "who only looks reads otherwise"
# Without members it comes to the same.
steps less.a0 less.a2 less.aj -- wait
[ "$(ours less.a0 less.a2 less.aj)" = "$a" ] || rig_fail "level 5 without a member reads otherwise"
steps less.b1 less.b3 less.bj -- wait
[ "$(ours less.b1 less.b3 less.bj)" = "$b" ] || rig_fail "level 6 without two members reads otherwise"

# Without the journal: not for writing, and with force without it from then on.
"$TOOL" assemble less.b0 less.b1 less.b2 less.b3 -- status >refused 2>&1 && rig_fail "started without its journal"
grep -q 'device of its journal is missing' refused || { cat refused; rig_fail "it does not say that the journal is missing"; }

# tenon goes on, and is killed. One of its own making, too.
"$TOOL" assemble a0 a1 a2 aj -- write 1M 4K 1 write 2M 100K 2 write 5M 1M 3 write 7M 12K 4 flush write 9M 70K 5 crash >>log 2>&1 || :
truncate -s 24M n0 n1 n2 n3 nj
"$TENON" raid create n --level 6 --chunk 64K --consistency journal --journal nj n0 n1 n2 n3 >>log 2>&1 || { tail -3 log; rig_fail "creating"; }
"$TOOL" assemble n0 n1 n2 n3 nj -- write 0 5M 1 write 5M 4K 2 write 6M 512 3 write 7M 33K 4 flush crash >>log 2>&1 || :
"$TOOL" assemble b0 b1 b2 b3 bj -- fail b0 remove b0 write 3M 9K 7 write 4M 64K 8 flush crash >>log 2>&1 || :
# Journals that come later: to one that had none, and to one of md's that lost its own, of which nobody knows whether parity fits.
truncate -s 24M p0 p1 p2 pj lj
"$TENON" raid create p --level 5 --chunk 16K --consistency resync --assume-clean p0 p1 p2 >>log 2>&1 || rig_fail "creating"
"$TENON" raid add p pj --journal --device 'p[012j]' >>log 2>&1 || { tail -3 log; rig_fail "adding a journal"; }
"$TOOL" assemble p0 p1 p2 pj -- write 0 3M 1 write 1M 4K 2 write 2M 100K 3 flush crash >>log 2>&1 || :
for i in 0 1 2; do cp --sparse=always whole.a$i l$i; done
"$TENON" raid grow 0 --add-journal lj --device 'l[012j]' >>log 2>&1 || { tail -3 log; rig_fail "adding a journal to md's"; }
"$TENON" raid rebuild 0 --device 'l[012j]' >>log 2>&1 || { tail -3 log; rig_fail "making parity anew"; }
"$TOOL" assemble l0 l1 l2 lj -- write 1M 4K 2 write 2M 100K 3 flush crash >>log 2>&1 || :
for i in a0 a1 a2 aj n0 n1 n2 n3 nj b1 b2 b3 bj p0 p1 p2 pj l0 l1 l2 lj; do cp --sparse=always $i mine.$i; done
steps mine.p0 mine.p2 mine.pj -- verify 1M 4K 2 verify 2M 100K 3
p=$(ours mine.p0 mine.p2 mine.pj)
steps mine.l1 mine.l2 mine.lj -- verify 1M 4K 2 verify 2M 100K 3
l=$(ours mine.l1 mine.l2 mine.lj)
steps mine.a0 mine.a1 mine.a2 mine.aj -- wait
a2=$(ours mine.a0 mine.a1 mine.a2 mine.aj)
steps mine.n0 mine.n3 mine.nj -- wait
n=$(ours mine.n0 mine.n3 mine.nj)
steps mine.b1 mine.b2 mine.b3 mine.bj -- verify 3M 9K 7 verify 4M 64K 8
b2=$(ours mine.b1 mine.b2 mine.b3 mine.bj)
mkdir judged
for i in a0 a1 a2 aj; do cp --sparse=always whole.$i judged/$i; done

# judge NAME "DISKS" "LABEL DEVICE..."...: md assembles each set, checks it, and says what it has; a line each in NAME's results.
judge() {
	local name=$1 disks=$2
	shift 2
	printf '%s\n' "$@" >"sets.$name"
	rig_boot uml --name "$name" $(args "$disks") --file "$WORK/sets.$name:/sets" --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	md=/sys/block/md0/md
	idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
	while read -r label devices; do
		eval "mdadm --assemble --run /dev/md0 $devices" 2>&1
		resync=$(cat $md/resync_start)
		echo check >$md/sync_action; idle
		echo "$label $resync $(cat $md/mismatch_cnt) $(cat $md/degraded) $(cat $md/consistency_policy) $(cat $md/array_state | sed s/active-idle/clean/) $(md5sum </dev/md0 | cut -d ' ' -f 1)" >>/result/judged
		dd if=/dev/urandom of=/dev/md0 bs=64K count=4 conv=fsync,notrunc 2>/dev/null
		mdadm --stop /dev/md0
	done </sets
GUEST
	cat "$(rig_results "$name")/judged"
}
judge judge 'a0 a1 a2 aj n0 n1 n2 n3 nj b1 b2 b3 bj' 'a $DISK0 $DISK1 $DISK2 $DISK3' 'n $DISK4 $DISK5 $DISK6 $DISK7 $DISK8' \
	'b $DISK9 $DISK10 $DISK11 $DISK12' >judged.1
judge later 'p0 p1 p2 pj l0 l1 l2 lj' 'p $DISK0 $DISK1 $DISK2 $DISK3' 'l $DISK4 $DISK5 $DISK6 $DISK7' >judged.2
cat judged.1 judged.2
diff - <(cat judged.1 judged.2) <<END || rig_fail "md says otherwise"
a none 0 0 journal clean $a2
n none 0 0 journal clean $n
b none 0 1 journal clean $b2
p none 0 0 journal clean $p
l none 0 0 journal clean $l
END
# And back again.
steps a0 a1 a2 aj -- write 1M 20K 9 flush verify 1M 20K 9 check wait
"$TENON" raid examine aj >examined
grep -q journal examined || { cat examined; rig_fail "examine does not know the journal"; }
