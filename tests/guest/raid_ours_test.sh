#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# RAID1 arrays that tenon made, or left behind in some state, judged by the real md: it assembles them,
# finds the mirrors equal, and reads what was written.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"

# Makes disks NAME0, NAME1 ... of 16 MiB.
disks() {
	local name=$1 count=$2 i
	for i in $(seq 0 $((count - 1))); do truncate -s 16M "$name$i"; done
}

disks plain 2
"$TOOL" create plain plain0 plain1 -- write 0 5M 1 wait 2>/dev/null
disks three 3
"$TOOL" create three -m 1.0 -b 64K three0 three1 three2 -- write 1M 3M 2 wait 2>/dev/null
# A member went away, and md takes it back for the sake of the bitmap.
disks early 2
"$TOOL" create early -m 1.1 -b 1M -c early0 early1 -- write 0 1M 3 fail early1 remove early1 write 8M 1M 3 2>/dev/null
# Stopped in the middle of its first resync: md goes on.
disks half 2
dd if=/dev/urandom of=half1 bs=1M count=16 conv=notrunc status=none
"$TOOL" create half half0 half1 -- rate 2M write 0 1M 4 until 30 2>/dev/null
# Crashed while it was written to: md resyncs what the bitmap says.
disks crash 2
"$TOOL" create crash -b 64K crash0 crash1 -- wait write 0 1M 5 flush crash 2>/dev/null
dd if=/dev/urandom of=crash1 bs=64K seek=20 count=1 conv=notrunc status=none
# Degraded, with a spare that took over in between, and one that is gone.
disks spare 3
"$TOOL" create spare spare0 spare1 -s spare2 -- wait write 0 2M 6 fail spare0 wait write 2M 1M 6 remove spare0 2>/dev/null
# In the middle of a recovery.
disks rec 2
"$TOOL" create rec rec0 missing -- write 0 14M 7 rate 4M add rec1 until 40 2>/dev/null

# What is to be read; `read` assembles and writes nothing.
read_ours() {
	local name=$1
	shift
	echo "$name $("$TOOL" assemble -r "$@" -- cat 2>/dev/null | md5sum | cut -d " " -f 1)" >>digests
}
read_ours crash crash0 crash1
read_ours early early0
read_ours half half0 half1
read_ours plain plain0 plain1
read_ours rec rec0 rec1
read_ours spare spare1 spare2
read_ours three three0 three1 three2
"$TOOL" assemble -r spare1 spare2 -- verify 0 3M 6 || rig_fail "spare does not hold what was written"

mdadm --examine half0 | grep -q 'State : active' || rig_fail "half is not in the middle of its resync"
mdadm --examine crash0 | grep -q 'State : active' || rig_fail "crash is not dirty"
mdadm --examine rec1 | grep -q 'Recovery Offset : [1-9]' || rig_fail "rec is not in the middle of its recovery"

rig_boot uml --name judge --with mdadm --modules raid1 \
	--disk plain0 --disk plain1 --disk three0 --disk three1 --disk three2 --disk early0 --disk early1 \
	--disk half0 --disk half1 --disk crash0 --disk crash1 --disk spare1 --disk spare2 \
	--disk rec0 --disk rec1 --script - <<'GUEST'
	set -e
	number=0
	# NAME DISK...
	judge() {
		name=$1; shift
		device=/dev/md$number; md=/sys/block/md$number/md; number=$((number + 1))
		if [ $name = early ]; then
			mdadm --assemble --run $device $1
			mdadm $device --re-add $2
		else
			mdadm --assemble --run $device "$@"
		fi
		echo "$name begins $(cat $md/resync_start) $(cat $md/sync_action)" >>/result/begin
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		echo check >$md/sync_action
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		echo "$name mismatches $(cat $md/mismatch_cnt) degraded $(cat $md/degraded)" >>/result/mirrors
		[ ! -e $md/bitmap/metadata ] || echo "$name bitmap $(cat $md/bitmap/location) $(cat $md/bitmap/chunksize)" >>/result/bitmaps
		echo "$name $(md5sum <$device | cut -d " " -f 1)" >>/result/digests
		# and md writes, for us to read
		dd if=/dev/zero of=$device bs=4k seek=1024 count=256 conv=fsync 2>/dev/null
		mdadm --stop $device
	}
	set -- $DISKS
	judge plain $1 $2; shift 2
	judge three $1 $2 $3; shift 3
	judge early $1 $2; shift 2
	judge half $1 $2; shift 2
	judge crash $1 $2; shift 2
	judge spare $1 $2; shift 2
	judge rec $1 $2
GUEST
cat "$(rig_results judge)/begin" "$(rig_results judge)/mirrors" "$(rig_results judge)/bitmaps"
[ "$(grep -c 'mismatches 0 degraded 0' "$(rig_results judge)/mirrors")" = 7 ] || rig_fail "the real md finds fault"
grep -q 'three bitmap -16 65536' "$(rig_results judge)/bitmaps" || rig_fail "bitmap of three"
grep -q 'early bitmap +8 1048576' "$(rig_results judge)/bitmaps" || rig_fail "bitmap of early"

sort "$(rig_results judge)/digests" | diff digests - || rig_fail "the real md reads something else"

# What md wrote is read back, whole and from each member alone.
head -c 1M /dev/zero >zeroes
back() {
	local disk
	for disk in "$*" "$@"; do
		"$TOOL" assemble -r $disk -- cat 2>/dev/null | tail -c +$((4 * 1048576 + 1)) | head -c 1M |
			cmp - zeroes || rig_fail "not what md wrote: $disk"
	done
}
back plain0 plain1
back three0 three1 three2
back early0 early1
back half0 half1
back crash0 crash1
back spare1 spare2
back rec0 rec1
echo "7 arrays judged"
