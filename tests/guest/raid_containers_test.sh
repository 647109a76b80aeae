#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Real containers of firmware's metadata, made by mdadm: DDF and Intel's (IMSM), each with a mirror in it. They are named, nobody reads, erases or
# overwrites them unless told, and who tells --yes or --force has told: then mdadm finds nothing of them but what lies elsewhere.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
truncate -s 64M imsm0 imsm1 ddf0 ddf1
rig_boot uml --disk imsm0 --disk imsm1 --disk ddf0 --disk ddf1 --with mdadm --modules raid1 --script - <<'GUEST'
	export IMSM_NO_PLATFORM=1 IMSM_DEVNAME_AS_SERIAL=1
	make() {
		yes | mdadm --create /dev/md/$1 --run --metadata=$1 --raid-devices=2 $2 $3 2>&1
		yes | mdadm --create /dev/md/$1_mirror --run --level=1 --raid-devices=2 /dev/md/$1 2>&1
		mdadm --examine $2 >/result/$1
	}
	make imsm $DISK0 $DISK1
	make ddf $DISK2 $DISK3
	mdadm --stop --scan 2>&1
	exit 0
GUEST
grep -q 'Intel Raid ISM' "$(rig_result imsm >imsm; echo imsm)" || rig_fail "mdadm made no container of Intel's: $(cat imsm)"
grep -q 'de11de11' "$(rig_result ddf >ddf; echo ddf)" || rig_fail "mdadm made no DDF container: $(cat ddf)"

refuses() {
	local word=$1
	shift
	"$TENON" "$@" >out 2>&1 </dev/null && rig_fail "done: $*"
	grep -q "$word" out || { cat out; rig_fail "another reason: $*"; }
}
for kind in imsm ddf; do
	[ $kind = ddf ] && name='DDF RAID' || name='Intel\|isw_raid_member'
	for member in ${kind}0 ${kind}1; do
		cp $member before
		refuses "$name" raid examine $member
		grep -q 'left alone' out || { cat out; rig_fail "$member: no word of what it is"; }
		refuses "$name" raid zero $member
		refuses "$name" raid create x --level 1 $member missing
		refuses "$name" pv create $member
		"$TENON" raid create x --level 1 --dry-run $member missing >out 2>&1 || :
		grep -q "$name" out || { cat out; rig_fail "a rehearsal does not say what would be lost"; }
		cmp $member before
		# What is advised.
		grep -q 'wipefs --all' <<<"$("$TENON" raid zero $member 2>&1)" || rig_fail "$member: nobody says who takes it off"
		wipefs --all before >out 2>&1 || { cat out; rig_fail "$member: wipefs does not take it off"; }
		"$TENON" raid examine before >out 2>&1 || :
		! grep -q 'left alone' out || { cat out; rig_fail "$member: wipefs left it there"; }
	done
	# --yes is the answer.
	"$TENON" raid create x --level 1 --yes ${kind}0 missing >out 2>&1 || { cat out; rig_fail "--yes does not overwrite $kind"; }
	"$TENON" raid examine ${kind}0 >out
	grep -q 'Version' out || { cat out; rig_fail "it is no member"; }
done
echo "DDF and Intel's are named, and left alone until told"
