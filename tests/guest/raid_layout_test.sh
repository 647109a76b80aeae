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
	truncate -s "$size" "theirs-$size"
	disks+=(--disk "theirs-$size")
done
KEEP='Avail|Array Size|Used|Data Off|Super Off|Bitmap|Bad'
rig_boot uml --name layout "${disks[@]}" --with mdadm --modules raid1 --script - <<GUEST
	for disk in \$DISKS; do
		for version in 1.0 1.1 1.2; do
			for bitmap in none internal; do
				yes | mdadm --create /dev/md0 --run --assume-clean --metadata=\$version \
					--bitmap=\$bitmap --level=1 --force --raid-devices=1 \$disk >/dev/null 2>&1
				mdadm --stop /dev/md0 >/dev/null 2>&1
				echo \$version \$bitmap
				mdadm --examine \$disk | grep -E '$KEEP'
				mdadm --zero-superblock \$disk
			done
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
	done
done >layouts
[ "$(grep -c '^1' layouts)" = 24 ] || rig_fail "not all layouts were made"
diff "$(rig_results layout)/layouts" layouts || rig_fail "other choices than mdadm's (<)"
echo "24 layouts as mdadm's"
