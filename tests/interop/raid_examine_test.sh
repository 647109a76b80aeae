#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What `mdadm --examine` says of members in many states, `raid examine` says, too: line by line.
set -u
. "$(dirname "$0")/lib.sh"
judge=$PWD/tests/interop/raid_examine.py
PATH=$PATH:/usr/sbin:/sbin
command -v mdadm >/dev/null || { echo "mdadm is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
cd "$work" || exit 1
# fresh NAME ARGUMENT...: creates.
fresh() {
	rm -f ./*.img
	truncate -s 64M a.img b.img c.img d.img e.img f.img
	unset TENON_DEVICES
	state=$1
	"$TENON" raid create r "${@:2}" >out 2>&1 || problem "$state: $(cat out)"
	export TENON_DEVICES="$work/[a-f].img"
}
same() { python3 "$judge" "$TENON" "$@" >out || problem "$state: $(cat out)"; }
change() { "$TENON" "$@" >out 2>&1 || problem "$state: $(cat out)"; }
# mdadm_says PATTERN FILE: the state is that which is meant.
mdadm_says() { mdadm --examine "$2" >out && grep -q "$1" out || problem "$state: $(cat out)"; }

# ---- Kinds ----
minor=0
for level in 'linear a.img b.img' '0 a.img b.img' '0 --chunk 64K a.img b.img c.img' '1 a.img b.img' '4 a.img b.img c.img' '5 --layout ra a.img b.img c.img' \
	'6 --chunk 16K a.img b.img c.img d.img' '10 --layout n2 a.img b.img c.img' '10 --layout f2 a.img b.img' '10 --layout o3 a.img b.img c.img d.img'; do
	minor=$(((minor + 1) % 3))
	# The words of a level are several.
	# shellcheck disable=SC2086
	fresh "level $level, metadata 1.$minor" --metadata 1.$minor --level $level
	same a.img b.img
done
for minor in 0 1 2; do
	fresh "bitmap, 1.$minor" --metadata 1.$minor --level 1 --bitmap internal a.img b.img --spare c.img
	mdadm_says 'Internal Bitmap' a.img
	mdadm_says 'Device Role : spare' c.img
	same a.img b.img c.img
done
fresh PPL --level 5 --consistency ppl a.img b.img c.img
mdadm_says 'PPL :' a.img
same a.img b.img c.img
fresh journal --level 6 --journal e.img a.img b.img c.img d.img
mdadm_says 'Role : Journal' e.img
same a.img e.img

# ---- States ----
fresh missing --level 5 a.img missing c.img
mdadm_says 'Array State : A\.A' a.img
same a.img c.img
json "d['reshape'] is None" "$TENON" raid show r --json
fresh failed --level 1 --bitmap internal a.img b.img --spare c.img
change raid fail r b.img
mdadm_says 'Array State : A\.' a.img
same a.img b.img c.img
fresh replaced --level 5 --bitmap internal a.img b.img c.img --spare d.img
launch served "$TENON" serve --socket-dir s md/r || problem "$state: $(cat served)"
change raid speed r --min 64K --max 64K
"$TENON" raid replace r b.img --with d.img >replaced 2>&1 &
pids+=($!)
# Their superblocks are written one after the other.
is_replaced() { [ "$(mdadm --examine [a-d].img | grep -c 'Array State : ARA')" = 4 ] && mdadm --examine d.img | grep -q 'Replacement device'; }
wait_for is_replaced
kill -9 "$launched"
wait "$launched" 2>/dev/null
mdadm_says 'Role : Replacement device 1' d.img
mdadm_says 'Array State : ARA' a.img
same a.img b.img c.img d.img
json "d[0]['kind'] == 'replacement' and d[0]['role'] == 1 and d[0]['places'] == 'ARA'" "$TENON" raid examine d.img --json
expect 0 'Device Role +1 replacement' "$TENON" raid examine d.img
fresh reshape --level 5 a.img b.img c.img
change raid grow r --devices 4 --add d.img
mdadm_says 'Delta Devices : 1' a.img
same a.img d.img
json "d['devices'] == 4 and d['reshape']['old_devices'] == 3 and d['reshape']['old_level'] == 'raid5' and d['reshape']['position_bytes'] == 0" \
	"$TENON" raid show r --json
expect 0 'Old devices: +3' "$TENON" raid show r
fresh 'reshape, other chunk and layout' --level 5 --chunk 64K a.img b.img c.img d.img
change raid grow r --chunk 128K --layout ra
mdadm_says 'New Chunksize : 128K' a.img
same a.img b.img c.img d.img
json "d['chunk_bytes'] == 131072 and d['layout'] == 'right-asymmetric' and d['reshape']['old_chunk_bytes'] == 65536 and d['reshape']['old_layout'] == 'left-symmetric'" \
	"$TENON" raid show r --json
fresh 'reshape to fewer' --level 5 a.img b.img c.img d.img
change raid grow r --devices 3 --array-size 100M
mdadm_says 'Delta Devices : -1' a.img
mdadm_says 'Array State : AAAA' a.img
same a.img b.img c.img d.img
fresh 'a checksum that is wrong' --level 1 a.img b.img
printf X | dd of=a.img bs=1 seek=$((4096 + 40)) conv=notrunc status=none
mdadm_says ' - expected ' a.img
expect 1 'Expected Checksum' "$TENON" raid examine a.img
theirs=$(printf %08x "0x$(mdadm --examine a.img | sed -n 's/.*expected //p')") # without its zeroes in front
json "d[0]['checksum_expected'] == '$theirs' != d[0]['checksum']" "$TENON" raid examine a.img --json

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
