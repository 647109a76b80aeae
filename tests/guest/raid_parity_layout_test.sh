#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Where the real md puts data, P and Q at levels 4, 5 and 6, in every layout and with several numbers of disks, and in
# which order Q counts the disks: tenon's map must be the same to the sector.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
CHECK=$TOP/build/tests/helpers/raid5_layout
[ -x "$CHECK" ] || rig_skip "raid5_layout is not built"
cd "$WORK"
rig_known_data known 2
disks=()
for i in 0 1 2 3 4 5 6; do
	truncate -s 4M d$i
	disks+=(--disk d$i)
done

rotating='left-asymmetric=0 right-asymmetric=1 left-symmetric=2 right-symmetric=3 parity-first=4 parity-last=5'
six='ddf-zero-restart=8 ddf-N-restart=9 ddf-N-continue=10 left-asymmetric-6=16 right-asymmetric-6=17
	left-symmetric-6=18 right-symmetric-6=19 parity-first-6=20'
cases="4:default=0:4" expected=21
[ -z "${TORTURE:-}" ] || expected=41
for layout in $rotating; do cases+=" 5:$layout:${TORTURE:+3 5:$layout:}6"; done
for layout in $rotating $six; do cases+=" 6:$layout:${TORTURE:+4 6:$layout:}7"; done
cases=$(echo $cases)

# 29 rows of 4 KiB chunks: every layout has turned round several times by then.
rig_boot uml --name layout "${disks[@]}" --disk known:ro --with mdadm --modules raid456 --script - <<GUEST
	set -e
	for case in $cases; do
		level=\${case%%:*} count=\${case##*:} layout=\${case#*:}; layout=\${layout%=*}
		set -- \$(echo \$DISKS | cut -d " " -f "1-\$count")
		option="--layout=\$layout"
		[ \$layout != default ] || option=
		mdadm --create /dev/md0 --run --level=\$level \$option --chunk=4 --size=116 --data-offset=1M \\
			--bitmap=none --assume-clean --raid-devices=\$count \$@ >/dev/null 2>&1
		dd if=\$DISK7 of=/dev/md0 bs=4096 count=\$((29 * (count - 1 - (level == 6)))) conv=fsync 2>/dev/null
		mdadm --stop /dev/md0 >/dev/null 2>&1
		mkdir /result/\$level-\$layout-\$count
		for disk; do
			dd if=\$disk of=/result/\$level-\$layout-\$count/\${disk##*/} bs=4096 skip=256 count=29 2>/dev/null
			mdadm --zero-superblock \$disk
		done
	done
GUEST
count=0
for case in $cases; do
	IFS=:= read -r level name layout disks <<<"$case"
	"$CHECK" $level $layout 8 29 known "$(rig_results layout)/$level-$name-$disks"/* || rig_fail "$case"
	count=$((count + 1))
done
[ $count = $expected ] || rig_fail "$count layouts were looked at, expected $expected"
echo "$count layouts as md's"
