#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays of the real mdadm and md that are seldom met: crashed with a dirty bitmap, a bad-block log with
# entries, grown and renamed ones, odd sizes and offsets, names with and without a host, one member, levels
# and formats that tenon does not assemble. Read by the command line whole and with each member missing,
# written, and given back.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
rig_known_data known 8
export TENON_DEVICES=
failed=0
problem() { echo "kinds: $*"; failed=1; }

LIB='
	set -e
	set -- $DISKS
	for last; do :; done
	known=$last
	md=/sys/block/md0/md
	create() { yes | mdadm --create /dev/md0 --run --level=1 "$@" 2>&1; }
	idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
	fill() { dd if=$known of=/dev/md0 bs=1M count=${1:-5} conv=fsync 2>/dev/null; }
	finish() {
		echo "$1 $(md5sum </dev/md0 | cut -d " " -f 1)" >>/result/digests
		echo 3 >/proc/sys/vm/drop_caches
		mdadm --stop /dev/md0 2>&1
	}
'
# FIRST LAST: runs the script on standard input in a guest with these disks.
make_arrays() {
	local disks=() i
	for i in $(seq "$1" "$2"); do disks+=(--disk "d$i"); done
	{ cat <<<"$LIB"; cat; } >script
	rig_boot uml --name "maker$1" "${disks[@]}" --disk known:ro --with mdadm --modules "raid1 raid456" --script script
	cat "$(rig_results "maker$1")/digests" >>digests
}
for i in $(seq 0 14); do truncate -s 8M "d$i"; done
truncate -s $((9 * 1048576 + 512 * 7)) d3
truncate -s 12M d13
make_arrays 0 13 <<'GUEST'
	create --name=bad --homehost=any --raid-devices=2 --bitmap=none $1 $2; idle; fill
	# Sectors 2048 to 2055 and 4096 of the second are known to be unreadable (the log counts from its start).
	echo "4096 8" >$md/dev-ubdb/bad_blocks; echo "6144 1" >$md/dev-ubdb/bad_blocks
	finish bad; shift 2
	create --name=odd --homehost=some.host --metadata=1.0 --raid-devices=2 --bitmap=internal --bitmap-chunk=8K $1 $2
	idle; fill; finish odd; shift 2
	# Grown from two to three, the first member gone since, another one in the fourth slot.
	create --name=grown --raid-devices=2 $1 $2; idle; fill 3
	mdadm /dev/md0 --add $3 2>&1; mdadm --grow /dev/md0 --raid-devices=3 2>&1; idle
	mdadm --grow /dev/md0 --bitmap=internal --bitmap-chunk=16K 2>&1
	mdadm /dev/md0 --fail $1 --remove $1 2>&1; mdadm --zero-superblock $1 2>&1
	mdadm /dev/md0 --add $4 2>&1; sleep 0.3; idle; fill; finish grown; shift 4
	create --name=alone --force --raid-devices=1 $1; fill; finish alone; shift 1
	# Renamed, and with a new UUID.
	create --name=before --homehost=h --raid-devices=2 --bitmap=internal $1 $2; idle; fill; mdadm --stop /dev/md0 2>&1
	mdadm --assemble /dev/md0 --update=name --name=after --homehost=h2 $1 $2 2>&1; mdadm --stop /dev/md0 2>&1
	mdadm --assemble /dev/md0 --update=uuid $1 $2 2>&1; finish after; shift 2
	create --name=thirty-one-characters-long-name --homehost=any --size=4000 --data-offset=3M --metadata=1.1 --raid-devices=2 $1 $2
	idle; fill 3; finish thirty-one-characters-long-name; shift 2
GUEST
mkdir -p one two three
mv d? d1? one
cp -r --sparse=always one saved
for i in $(seq 0 9); do truncate -s 8M "d$i"; done
make_arrays 0 9 <<'GUEST'
	# The machine stops without stopping the array, while both members are not the same.
	create --name=crash --homehost=any --raid-devices=2 --bitmap=internal --bitmap-chunk=64K $1 $2; idle; fill
	echo 1000 >$md/safe_mode_delay
	dd if=/dev/urandom of=/dev/md0 bs=64k count=3 seek=20 conv=fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	dd if=$1 of=$3 bs=1M 2>/dev/null; dd if=$2 of=$4 bs=1M 2>/dev/null; sync
	finish crash
	mdadm --zero-superblock $1 $2 2>&1
	shift 4
	mdadm --create /dev/md0 --run --name=five --level=5 --homehost=any --raid-devices=3 $1 $2 $3 2>&1; mdadm --stop /dev/md0 2>&1; shift 3
	create --name=old --metadata=0.90 --raid-devices=2 $1 $2 2>&1; idle; mdadm --stop /dev/md0; shift 2
GUEST
mv d? two

digest() { sed -n "s/^$1 //p" "$WORK/digests"; }
# reads NAME FILE...: the array reads as md reads it.
reads() {
	local name=$1 found file
	shift
	found=$("$TENON" copy "${@/#/--device=}" "md/$name" - 2>log | md5sum)
	[ "${found%% *}" = "$(digest "$name")" ] || problem "$name on $*: reads otherwise. $(cat log)"
}
# refused PATTERN COMMAND...
refused() {
	local pattern=$1 rc=0
	shift
	"$TENON" "$@" >log 2>&1 || rc=$?
	[ $rc = 1 ] || problem "'$*' gave $rc: $(cat log)"
	grep -Eq -- "$pattern" log || problem "'$*' said: $(cat log); expected: $pattern"
}
# shows EXPRESSION NAME FILE...: holds for `raid show --json`.
shows() {
	local expression=$1 name=$2
	shift 2
	"$TENON" raid show "${@/#/--device=}" "$name" --json >log 2>&1 || problem "show $name: $(cat log)"
	python3 -c "import json, sys; d = json.load(open('log')); sys.exit(not ($expression))" ||
		problem "$name: not so: $expression: $(cat log)"
}

cd one
reads bad d0 d1; reads bad d0
shows 'len(d["members"]) == 2' bad d0 d1
refused 'bad|unreadable|Input/output' copy --device d1 md/bad /dev/null
reads odd d2 d3; reads odd d2; reads odd d3
shows 'd["members"]' some.host:odd d2 d3
reads grown d5 d6 d7; reads grown d5; reads grown d6; reads grown d7
shows 'not d["degraded"] and len(d["members"]) == 3' grown d4 d5 d6 d7
reads alone d8
reads after d9 d10; reads after d9; reads after d10
refused 'no such array' raid show --device d9 before
reads thirty-one-characters-long-name d11 d12
reads thirty-one-characters-long-name d12
cd ../two
# The last write may have reached one member only: the rebuild makes them equal again.
reads crash d2 d3; reads crash d2; reads crash d3
shows '"not in sync" in d["state"] and d["bitmap"]["dirty"] > 0' crash d2 d3
printf 'not written' | dd of=d3 bs=1 seek=$((1048576 + 20 * 65536 + 100)) conv=notrunc 2>/dev/null
shows 'd["level"] == "raid5" and len(d["members"]) == 3' five d4 d5 d6
"$TENON" raid list --device 'd[456]' >log 2>&1 || problem "raid list: $(cat log)"
grep -q raid5 log || problem "raid list does not show the raid5: $(cat log)"
"$TENON" raid examine d4 >log 2>&1 || problem "examine raid5: $(cat log)"
"$TENON" raid examine d7 >log 2>&1 || problem "examine 0.90: $(cat log)"
grep -q '0\.90' log || problem "examine does not say 0.90: $(cat log)"
cd ..

# Written through tenon, all of them, and judged by the kernel.
head -c 1M /dev/urandom >fresh
for spec in odd:one/d2:one/d3 grown:one/d5:one/d6:one/d7 alone:one/d8 after:one/d9:one/d10 crash:two/d2:two/d3; do
	IFS=: read -ra part <<<"$spec"
	name=${part[0]} devices=("${part[@]:1}")
	devices=("${devices[@]/#/--device=}")
	"$TENON" copy "${devices[@]}" fresh "md/$name" 2>log || problem "writing $name: $(cat log)"
	"$TENON" raid rebuild "${devices[@]}" "$name" 2>log || problem "rebuild $name: $(cat log)"
	"$TENON" copy "${devices[@]}" "md/$name" - | md5sum | sed "s/^/$name /; s/ *-$//" >>written
done
rig_judge back one/d{2,3,5,6,7,8,9} one/d10 two/d{2,3} || problem "the kernel does not take them"
[ "$(cat back/mismatch_cnt)" = 0 ] || problem "mismatch_cnt $(cat back/mismatch_cnt)"
sed 's/^md.//; s/ [0-9]* / /' back/LOGICAL | sort >judged
sort written | diff - judged || problem "md reads something else"
[ $failed = 0 ] || rig_fail "see above"
echo "7 kinds of arrays"
