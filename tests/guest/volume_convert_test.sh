#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Volumes that get other types and numbers of images, both ways: what tenon makes of its volumes dm-raid activates, fills and finds sound, also
# where the command was killed as soon as it was committed; lvm2 converts these on, and tenon reads what came of it.
# timeout: 900
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid"
digest() { md5sum | cut -d ' ' -f 1; }
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
disks=()
for i in 0 1 2 3 4 5; do
	truncate -s 128M p$i
	disks+=(--disk p$i)
done
export TENON_DEVICES=$WORK/p?
# NAME, how it is made, what it becomes here (killed: at once), the type then; and what lvm2 makes of that, with the type.
cat >ways <<'LIST'
la|--size 4M|--mirrors 1|raid1|-m 2|raid1
lb|--size 24M|--mirrors 2 killed|raid1|-m 0|linear
lc|--type raid1 --mirrors 2 --size 4M|--mirrors 0|linear|--type raid1 -m 1|raid1
ld|--type raid1 --mirrors 1 --size 4M|--mirrors 2 killed|raid1|-m 1|raid1
le|--type raid1 --mirrors 3 --size 4M|--mirrors 1|raid1||raid1
sa|--stripes 2 --size 4M|--type raid0|raid0|--type raid5_n|raid5_n
sb|--stripes 3 --size 24M|--type raid5 killed|raid5_n|--type striped|striped
sc|--stripes 3 --size 6M|--type raid6|raid6_n_6|--type raid5_n|raid5_n
sd|--stripes 2 --size 4M|--type raid10|raid10|--type raid0|raid0
se|--stripes 3 --size 4M|--type raid4|raid4|--type raid0_meta|raid0_meta
ra|--type raid5 --stripes 3 --size 6M|--type raid6 killed|raid6_ls_6|--type raid5_ls|raid5_ls
rb|--type raid5_n --stripes 3 --size 6M|--type raid4|raid4||raid4
rc|--type raid5_n --stripes 2 --size 4M|--type striped|striped|--type raid0|raid0
rd|--type raid6_n_6 --stripes 3 --size 6M|--type raid5|raid5_n||raid5_n
re|--type raid10 --stripes 2 --size 4M|--type striped|striped||striped
ma|--type raid1 --mirrors 1 --size 4M|--type raid5|raid5|--type raid1|raid1
pa|--type raid6 --stripes 3 --size 6M|replaced|raid6||raid6
LIST
try vg create vg --extent-size 1M p?
while IFS='|' read -r name made become type _; do
	# shellcheck disable=SC2086
	try lv create vg/$name $made
	head -c "$("$TENON" lv show vg/$name --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"])')" /dev/urandom >data
	try copy data vg/$name
	"$TENON" lv repair vg/$name >log 2>&1 || :
	echo "$name $(digest <data)" >>made.txt
	case $become in
	replaced) try lv convert vg/$name --replace "$("$TENON" lv show vg/${name}_rimage_0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["segments"][0]["areas"][0].rpartition("(")[0])')" ;;
	*killed)
		# shellcheck disable=SC2086
		"$TENON" lv convert vg/$name ${become% killed} >out 2>log &
		pid=$!
		until grep -q 'is raid' log || ! kill -0 $pid 2>/dev/null; do sleep 0.02; done
		kill -9 $pid 2>/dev/null || :
		wait $pid 2>/dev/null || :
		;;
	*)
		# shellcheck disable=SC2086
		try lv convert vg/$name $become
		;;
	esac
	[ "$("$TENON" lv list vg --json | python3 -c 'import json, sys; print(next(v["type"] for v in json.load(sys.stdin) if v["name"] == sys.argv[1]))' $name)" = $type ] ||
		rig_fail "$name is no $type"
	[ "$("$TENON" copy vg/$name - | digest)" = "$(digest <data)" ] || rig_fail "$name reads otherwise"
done <ways

cat >judge <<'GUEST'
	set -e
	sums() { for name in $(lvs --noheadings -o lv_name vg); do echo "$name $(md5sum </dev/vg/$name | cut -d ' ' -f 1)"; done >/result/$1; }
	idle() { until ! lvs --noheadings -o sync_percent vg | grep -qv '100.00\|^ *$'; do sleep 0.2; done; }
	vgchange -ay vg
	idle
	sums before
	raids=$(lvs --noheadings -o vg_name,lv_name --separator / -S 'segtype=~raid[14561]&&segtype!~raid0' vg)
	lvchange --syncaction check $raids
	until ! lvs --noheadings -o raid_sync_action $raids | grep -qv idle; do sleep 0.2; done
	lvs --noheadings -o lv_name,raid_mismatch_count,lv_health_status $raids >/result/mismatches
	while IFS='|' read -r name made become type theirs then; do
		[ -z "$theirs" ] || lvconvert -y $theirs vg/$name || echo $name >>/result/failed
	done </root/ways
	idle
	lvs --noheadings -o lv_name,segtype vg >/result/types
	sums after
	vgchange -an vg
GUEST
rig_boot uml --deadline 500 --name judged "${disks[@]}" --with lvm2 --modules "$modules" --file ways --script judge
result=$(rig_results judged)
diff <(sort made.txt) <(sort "$result/before") || rig_fail "dm-raid reads otherwise"
grep -v ' 0 *$' "$result/mismatches" && rig_fail "dm-raid finds differences"
diff <(sort made.txt) <(sort "$result/after") || rig_fail "lvm2's conversions changed data"
! [ -e "$result/failed" ] || { cat "$result/failed"; rig_fail "lvm2 did not convert these"; }
while IFS='|' read -r name _ _ _ _ type; do
	grep -q "^ *$name  *$type *$" "$result/types" || rig_fail "$name: not $type: $(cat "$result/types")"
	[ "$("$TENON" copy vg/$name - 2>log | digest)" = "$(sed -n "s/^$name //p" made.txt)" ] || { cat log; rig_fail "$name reads otherwise what lvm2 made of it"; }
done <ways
exit 0
