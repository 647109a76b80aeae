#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What `mdadm --detail` says of arrays in many states, `raid show` says, too, line by line; and of their members `raid examine` what `mdadm --examine` says.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
# MEMBERS: the commands on standard input make arrays of these, in a guest of its own.
in_guest() {
	local name=$1 member disks=()
	shift
	for member in "$@"; do
		truncate -s 24M "$member"
		disks+=(--disk "$member")
	done
	cat common - >script
	rig_boot uml --name "$name" "${disks[@]}" --with mdadm --modules "raid456 raid1 raid10 raid0" --memory 384M --script script
}
cat >common <<'GUEST'
	set -e
	set -- $DISKS
	make() { # NAME ARGUMENT...: of the disks that $use has
		name=$1; shift
		mdadm --create /dev/md7 --run --homehost=none --name=$name "$@" 2>&1
	}
	told() {
		sync
		mdadm --wait-clean /dev/md7 || :
		mdadm --detail /dev/md7 >/result/$name.detail
		cp /proc/mdstat /result/$name.mdstat
		mdadm --stop /dev/md7 2>&1
	}
GUEST
in_guest first bits{0..2} hurt{0..2} far{0..2} log{0..2} zero{0,1} <<'GUEST'
	make bits --level=1 --assume-clean --bitmap=internal --raid-devices=2 --spare-devices=1 $1 $2 $3; shift 3; told
	make hurt --level=5 --assume-clean --bitmap=none --chunk=16 --raid-devices=3 $1 $2 $3; mdadm /dev/md7 --fail $2 2>&1; shift 3; told
	make far --level=10 --assume-clean --bitmap=none --layout=f2 --raid-devices=3 $1 $2 $3; shift 3; told
	make log --level=5 --assume-clean --consistency-policy=ppl --raid-devices=3 $1 $2 $3; shift 3; told
	make zero --level=0 --raid-devices=2 $1 $2; shift 2; told
GUEST
in_guest second gone{0..2} wal{0..3} rec{0..2} grow{0..3} <<'GUEST'
	make gone --level=5 --assume-clean --bitmap=none --layout=ra --raid-devices=3 $1 missing $3; shift 3; told
	make wal --level=5 --bitmap=none --raid-devices=3 --write-journal $4 $1 $2 $3; mdadm --wait /dev/md7 || :; shift 4; told
	make rec --level=5 --bitmap=none --raid-devices=3 $1 $2 missing
	echo 1024 >/sys/block/md7/md/sync_max; mdadm /dev/md7 --add $3 2>&1
	until [ "$(sed 's/ .*//' /sys/block/md7/md/sync_completed)" = 1024 ]; do sleep 0.1; done
	shift 3; told
	make grow --level=5 --assume-clean --bitmap=none --raid-devices=3 $1 $2 $3
	mdadm /dev/md7 --add $4 2>&1
	echo 0 >/sys/block/md7/md/sync_max
	mdadm --grow /dev/md7 --raid-devices=4 2>&1 &
	until [ "$(cat /sys/block/md7/md/reshape_position)" != none ] && [ "$(cat /sys/block/md7/md/sync_action)" = reshape ]; do sleep 0.1; done
	told
GUEST
failed=0
for name in bits hurt far log zero gone wal rec grow; do
	told=$(ls "$(rig_results first)/$name.detail" "$(rig_results second)/$name.detail" 2>/dev/null) || :
	TENON_DEVICES="$WORK/$name?" "$TENON" raid show "$name" --json >$name.json || { failed=1; continue; }
	python3 "$TOP/tests/guest/raid_detail.py" stopped "$told" $name.json || { failed=1; cat "$told"; }
	[ "$name" != hurt ] || rm hurt1
	[ "$name" != gone ] || rm gone1
	python3 "$TOP/tests/interop/raid_examine.py" "$TENON" $name? || failed=1
done
[ $failed = 0 ] && echo "9 arrays: mdadm and tenon say the same" || rig_fail "mdadm says otherwise"
