#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# RAID1 arrays that the real mdadm and md made, of many kinds and in many states: tenon reads each as
# md does, whole and degraded, and goes on where md stopped.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"

for i in $(seq 0 32); do truncate -s 8M "d$i"; done
rig_known_data known 8

# FIRST LAST: makes arrays on these disks; User Mode Linux has 15 at most.
make_arrays() {
	local disks=() i
	for i in $(seq "$1" "$2"); do disks+=(--disk "d$i"); done
	{ cat <<<"$GUEST_LIB"; cat; } >script
	rig_boot uml --name "maker$1" "${disks[@]}" --disk known:ro --with mdadm \
		--modules "raid0 linear? raid1 raid456 raid10" --script script
	cat "$(rig_results "maker$1")/digests" >>digests
}
GUEST_LIB='
	set -e
	set -- $DISKS
	for last; do :; done
	known=$last
	create() {
		name=$1; shift
		yes | mdadm --create /dev/md0 --run --homehost=peer --name=$name --level=1 "$@" 2>&1
		md=/sys/block/md0/md
	}
	idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
	fill() { dd if=$known of=/dev/md0 bs=1M count=${1:-6} conv=fsync 2>/dev/null; }
	finish() {
		echo "$name $(md5sum </dev/md0 | cut -d " " -f 1)" >>/result/digests
		echo 3 >/proc/sys/vm/drop_caches
		mdadm --stop /dev/md0 2>&1
	}
'
make_arrays 0 13 <<'GUEST'
	create v10 --metadata=1.0 --raid-devices=2 $1 $2; idle; fill; finish; shift 2
	create v11 --metadata=1.1 --raid-devices=2 --bitmap=internal --bitmap-chunk=128K $1 $2; idle; fill; finish; shift 2
	create four --metadata=1.2 --raid-devices=4 --bitmap=internal --bitmap-chunk=4K $1 $2 $3 $4; idle; fill; finish; shift 4
	create bm10 --metadata=1.0 --raid-devices=3 --bitmap=internal $1 $2 $3; idle; fill; finish; shift 3
	create spare --raid-devices=2 --spare-devices=1 $1 $2 $3; idle; fill; finish; shift 3
GUEST
make_arrays 14 23 <<'GUEST'
	create missing --raid-devices=3 $1 missing $2; idle; fill; finish; shift 2
	create flags --raid-devices=2 --failfast $1 --write-mostly $2; idle; fill; finish; shift 2
	# A member failed and was removed while data were written; it is stale now.
	create stale --raid-devices=2 --bitmap=internal --bitmap-chunk=64K $1 $2; idle; fill 2
	mdadm /dev/md0 --fail $2 2>&1; mdadm /dev/md0 --remove $2 2>&1
	fill 4; finish; shift 2
	# Recovery stopped in the middle.
	create recovery --raid-devices=2 $1 missing; idle; fill
	# (frozen meanwhile, so that sync_max is there before it begins)
	echo frozen >$md/sync_action
	mdadm /dev/md0 --add $2 2>&1
	echo 8192 >$md/sync_max
	echo idle >$md/sync_action
	until [ "$(sed 's/ .*//; s/none/0/' $md/sync_completed)" -ge 8192 ]; do sleep 0.05; done
	finish; shift 2
	# First resync stopped in the middle.
	echo 2000 >/proc/sys/dev/raid/speed_limit_max
	create resync --raid-devices=2 $1 $2
	fill 2
	finish; shift 2
GUEST

make_arrays 25 32 <<'GUEST'
	# mdadm 4.2 does not take the offset from the size of the data that it writes; md takes it so.
	create later --raid-devices=2 --metadata=1.0 --data-offset=512K --size=6M $7 $8; idle; fill; finish
	create bad --raid-devices=2 $5 $6; idle; fill
	echo "4096 8" >$md/dev-${5##*/}/bad_blocks
	finish
	# Other levels: to be examined.
	for level in 0 linear 4 5 6 10; do
		mdadm --zero-superblock $1 $2 $3 $4 2>/dev/null || :
		yes | mdadm --create /dev/md0 --run --name=level$level --level=$level --raid-devices=4 \
			$1 $2 $3 $4 2>&1 || { echo $level >>/result/unsupported; continue; }
		mdadm --stop /dev/md0 2>&1
		dd if=$3 of=/result/level$level bs=4k count=3 2>/dev/null
		mdadm --examine $3 | sed -n "s/ *Array UUID : //p" >/result/level$level.uuid
	done
GUEST

digest() { sed -n "s/^$1 //p" digests; }
failed=0
# NAME DISK...: what is read with these, by an assembly that writes nothing.
reads() {
	local name=$1 found
	shift
	found=$("$TOOL" assemble -r "$@" -- cat 2>log | md5sum | cut -d ' ' -f 1)
	[ "$found" = "$(digest "$name")" ] || { echo "$name with $*: other data"; cat log; failed=1; }
}
# NAME WORDS DISK...: and what its state is.
state() {
	local name=$1 words=$2
	shift 2
	"$TOOL" assemble -r "$@" -- status >status 2>log || { cat log; failed=1; }
	grep -q "$words" status || { echo "$name: no \"$words\" in"; cat status; failed=1; }
}

reads v10 d0 d1; reads v10 d0; reads v10 d1
reads v11 d2 d3; reads v11 d2; reads v11 d3
reads four d4 d5 d6 d7; reads four d4; reads four d5; reads four d6; reads four d7
reads bm10 d8 d9 d10; reads bm10 d9 d10; reads bm10 d8 d9
reads spare d11 d12 d13; reads spare d11; reads spare d12 d13
state spare 'd13: spare' d11 d12 d13
reads missing d14 d15; reads missing d14; reads missing d15
state missing 'clean, degraded' d14 d15
reads flags d16 d17; reads flags d16; reads flags d17
reads stale d18 d19; reads stale d18
state stale 'd19: stale' d18 d19
reads recovery d20 d21
state recovery 'd21: rebuilding' d20 d21
! "$TOOL" assemble -r d21 -- status >/dev/null 2>&1 || { echo "a member that is not recovered was taken"; failed=1; }
reads resync d22 d23
state resync 'not in sync' d22 d23
# The member with a bad range, which md counts from the start of the device, holds something else there: it is read
# from the other one.
reads bad d29 d30
state bad 'bad 1' d29 d30
reads later d31 d32; reads later d31; reads later d32
dd if=/dev/urandom of=d29 bs=512 seek=4096 count=8 conv=notrunc status=none
reads bad d29 d30
for level in 0 linear 4 5 6 10; do
	[ -e "$(rig_results maker25)/level$level" ] || { echo "md does not make $level here"; continue; }
	cp "$(rig_results maker25)/level$level" other
	truncate -s 8M other
	"$TENON" raid examine other >examined || { cat examined; failed=1; }
	name=raid$level
	[ $level != linear ] || name=linear
	{ grep -q "Raid Level  *$name" examined && grep -q "$(cat "$(rig_results maker25)/level$level.uuid")" examined; } ||
		{ echo "$level is not described:"; cat examined; failed=1; }
	! "$TOOL" assemble -r other 2>log || { echo "$level was assembled of one member"; failed=1; }
	grep -q "1 of its 4 members are here" log || { cat log; failed=1; }
done
[ $failed = 0 ] || rig_fail "see above"

# tenon goes on: finishes the recovery and the resync, gives the spare a place, takes the stale one back.
"$TOOL" assemble d20 d21 -- wait status >status 2>/dev/null
grep -q 'clean, 2 of 2' status || rig_fail "recovery: $(cat status)"
reads recovery d21
"$TOOL" assemble d22 d23 -- wait >/dev/null 2>&1
reads resync d22; reads resync d23
"$TOOL" assemble d11 d12 d13 -- fail d11 wait >/dev/null 2>&1
reads spare d13
"$TOOL" assemble d18 -- add d19 wait >/dev/null 2>readd
grep -q 'only what changed' readd || rig_fail "re-add: $(cat readd)"
reads stale d19
"$TOOL" assemble d14 d15 -- add d24 wait >/dev/null 2>&1
reads missing d24
[ $failed = 0 ] || rig_fail "see above"

# And the real md agrees with what tenon made of them.
judged=0
judge() {
	local name md5
	rig_judge "$@"
	[ "$(cat "$1/mismatch_cnt")" = 0 ] || rig_fail "mismatch_cnt $(cat "$1/mismatch_cnt")"
	while read -r name _ md5; do
		[ "$md5" = "$(digest "${name#md/}")" ] || rig_fail "$name: md reads other data"
		judged=$((judged + 1))
	done <"$1/LOGICAL"
}
judge back1 d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 d10 d12 d13
# Of that with data that begin later a new member is filled.
truncate -s 0 d32
truncate -s 8M d32
"$TOOL" assemble d31 -- add d32 wait >/dev/null 2>&1
reads later d32
[ $failed = 0 ] || rig_fail "see above"
judge back3 d31 d32
judge back2 d14 d15 d24 d16 d17 d18 d19 d20 d21 d22 d23
[ $judged = 11 ] || rig_fail "$judged arrays came up"
echo "12 arrays read, 11 continued and given back, other levels examined"
