#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays with superblocks of version 0.90, both ways: md makes and fills them, tenon reads them whole and degraded, writes, fails members
# and fills others, crashes; and md assembles what came of it, finds it sound, and reads the same.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
digest() { md5sum | cut -d ' ' -f 1; }
ours() { "$TOOL" assemble -r "$@" -- cat 2>>log | digest; }
steps() { "$TOOL" assemble "$@" >>log 2>&1 || { tail -n 3 log; rig_fail "$*"; }; }
same() { [ "$2" = "$3" ] || rig_fail "$1: $2, expected $3"; }
disks=()
for name in one0 one1 five0 five1 five2 ten0 ten1 ten2 ten3 line0 line1 new0 new1; do
	truncate -s 8200K $name
	disks+=(--disk $name)
done

rig_boot uml --name theirs "${disks[@]}" --with mdadm --modules "raid456 raid1 raid10 linear?" --script - <<'GUEST'
	set -e
	make() {
		name=$1; shift
		mdadm --create /dev/md7 --run --metadata=0.90 --assume-clean "$@" 2>&1
		dd if=/dev/urandom of=/dev/md7 bs=64K conv=fsync 2>/dev/null || :
		echo 3 >/proc/sys/vm/drop_caches
		echo "$name $(md5sum </dev/md7 | cut -d ' ' -f 1)" >>/result/digests
		mdadm --wait-clean /dev/md7 || :
		mdadm --stop /dev/md7
	}
	make one --level=1 --bitmap=internal --bitmap-chunk=64 --raid-devices=2 $DISK0 $DISK1
	make five --level=5 --chunk=16 --raid-devices=3 $DISK2 $DISK3 $DISK4
	make ten --level=10 --chunk=64 --raid-devices=4 $DISK5 $DISK6 $DISK7 $DISK8
	grep -q linear /proc/mdstat && make line --level=linear --raid-devices=2 $DISK9 $DISK10
	mdadm --examine $DISK3 >/result/examine
GUEST
result=$(rig_results theirs)
sum() { sed -n "s/^$1 //p" "$result/digests"; }
"$TENON" raid examine five1 >examined
grep -q '0\.90' examined || { cat examined; rig_fail "examine"; }
grep -qi "$(sed -n 's/ *UUID : \([0-9a-f:]*\).*/\1/p' "$result/examine")" examined || { cat examined; rig_fail "the UUID is another"; }
line=line
[ -n "$(sum line)" ] || { line=; echo "md of this kernel has no linear: not asked about it"; }
python3 "$TOP/tests/interop/raid_examine.py" "$TENON" one? five? ten? >judged || { cat judged; rig_fail "examine and mdadm differ"; }
for name in one five ten $line; do same $name "$(ours $name?)" "$(sum $name)"; done
same "one without the other" "$(ours one1)" "$(sum one)"
same "three without one" "$(ours five0 five2)" "$(sum five)"
[ -n "$line" ] && "$TOOL" assemble -r line1 -- cat >/dev/null 2>refused && rig_fail "linear starts without a member"

"$TOOL" assemble five? -- chunk 32K >refused 2>&1 && rig_fail "it is reshaped, which 0.90 cannot say"
grep -q 'where data move' refused || { cat refused; rig_fail "another reason"; }

# Written, and a member failed that comes back by the bitmap; one that is another device; one that stays away.
steps one? -- fail one0 remove one0 write 1M 100K 1
steps one1 -- write 2M 4K 7 add one0 wait
steps five? -- write 2M 300K 2 fail five1 remove five1 write 1M 12K 3 add new0 wait
steps ten? -- fail ten2 write 1M 1M 4
[ -z "$line" ] || steps line? -- write 3M 77K 5 flush
rm five1; truncate -s 8200K five1
for name in one ten; do ours $name? >$name.sum; done
ours five0 new0 five2 >five.sum
[ -z "$line" ] || ours line? >line.sum
"$TOOL" assemble five0 new0 five2 -- write 4M 20K 6 flush crash >>log 2>&1 || :
ours five0 new0 five2 >five.sum
mdadm --examine five0 | grep -q 'State : active' || rig_fail "it is not dirty"
# A spare waits in one that has all members.
steps one? -- add new1

rig_boot uml --name judge "${disks[@]}" --with mdadm --modules "raid456 raid1 raid10 linear?" --script - <<'GUEST'
	set -e
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	md=/sys/block/md7/md
	idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
	judge() {
		name=$1; shift
		mdadm --assemble --run /dev/md7 "$@" 2>&1
		wrong=-; idle 2>/dev/null
		if [ $name != line ]; then echo check >$md/sync_action; idle; wrong=$(cat $md/mismatch_cnt); fi
		echo "$name $wrong $(md5sum </dev/md7 | cut -d ' ' -f 1) $(mdadm --detail /dev/md7 | sed -n 's/ *\(Active\|Failed\|Spare\) Devices : //p' | tr '\n' ' ')" >>/result/judged
		mdadm --stop /dev/md7
	}
	judge one $DISK0 $DISK1 $DISK12
	judge five $DISK2 $DISK11 $DISK4
	judge ten $DISK5 $DISK6 $DISK7 $DISK8
	md=/sys/block/md7/md; idle() { :; }
	if grep -q linear /proc/mdstat; then judge line $DISK9 $DISK10; fi
GUEST
cat "$(rig_results judge)/judged"
diff <(
	echo "one 0 $(cat one.sum) 2 0 1 "
	echo "five 0 $(cat five.sum) 3 0 0 "
	echo "ten 0 $(cat ten.sum) 3 0 0 "
	[ -z "$line" ] || echo "line - $(cat line.sum) 2 0 0 "
) "$(rig_results judge)/judged" || rig_fail "md says otherwise"

# Another byte order is refused with words, and shown.
python3 - five0 <<'END'
import sys
with open(sys.argv[1], 'r+b') as f:
    size = f.seek(0, 2); at = size // 65536 * 65536 - 65536
    f.seek(at); page = f.read(4096)
    f.seek(at); f.write(b''.join(page[i:i + 4][::-1] for i in range(0, 4096, 4)))
END
"$TOOL" assemble -r five0 -- status 2>refused && rig_fail "big-endian is taken"
grep -q 'big-endian' refused || { cat refused; rig_fail "it does not say why"; }
"$TENON" raid zero --yes five0 >>log 2>&1 || "$TENON" raid zero five0 >>log 2>&1 || { tail -3 log; rig_fail "zero"; }
mdadm --examine five0 2>&1 | grep -q 'No md superblock' || rig_fail "it is there still"
