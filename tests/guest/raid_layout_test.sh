#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Where mdadm puts superblock, bitmap, bad-block log and data on members of many sizes, and how much of
# them it uses: tenon's choices must be the same to the sector.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"

disks=()
sizes='9000K 33001K 10G 300G'
for size in $sizes; do
	for half in a b; do
		truncate -s "$size" "theirs-$size-$half"
		disks+=(--disk "theirs-$size-$half")
	done
done
KEEP='Avail|Array Size|Used|Data Off|Super Off|Bitmap|Bad|PPL'
rig_boot uml --name layout "${disks[@]}" --with mdadm --modules "raid1 raid456" --script - <<GUEST
	set -- \$DISKS
	while [ \$# -gt 0 ]; do
		disk=\$1 other=\$2
		shift 2
		for version in 1.0 1.1 1.2; do
			for bitmap in none internal; do
				yes | mdadm --create /dev/md0 --run --assume-clean --metadata=\$version \
					--bitmap=\$bitmap --level=1 --force --raid-devices=1 \$disk >/dev/null 2>&1
				mdadm --stop /dev/md0 >/dev/null 2>&1
				echo \$version \$bitmap
				mdadm --examine \$disk | grep -E '$KEEP'
				mdadm --zero-superblock \$disk
			done
			yes | mdadm --create /dev/md0 --run --assume-clean --metadata=\$version --chunk=512 \
				--consistency-policy=ppl --level=5 --raid-devices=2 \$disk \$other >/dev/null 2>&1
			mdadm --stop /dev/md0 >/dev/null 2>&1
			echo \$version ppl
			mdadm --examine \$disk | grep -E '$KEEP'
			mdadm --zero-superblock \$disk \$other
		done
	done >/result/layouts
GUEST
for size in $sizes; do
	for version in 1.0 1.1 1.2; do
		for bitmap in none internal; do
			option=-B
			[ $bitmap = none ] || option='-b 0'
			rm -f ours
			truncate -s "$size" ours
			"$TOOL" create x -m $version $option -c ours >/dev/null 2>&1
			echo $version $bitmap
			mdadm --examine ours | grep -E "$KEEP"
		done
		rm -f ours other
		truncate -s "$size" ours other
		"$TOOL" create x -l 5 -k 524288 -m $version -C ppl -c ours other >/dev/null 2>&1
		echo $version ppl
		mdadm --examine ours | grep -E "$KEEP"
	done
done >layouts
[ "$(grep -c '^1' layouts)" = 36 ] || rig_fail "not all layouts were made"
diff "$(rig_results layout)/layouts" layouts || rig_fail "other choices than mdadm's (<)"
echo "36 layouts as mdadm's"
