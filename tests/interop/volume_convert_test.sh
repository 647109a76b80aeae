#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `lv convert` while a server has the volume, and without one; lvm2's own check takes the metadata.
# timeout: 120
set -u
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
command -v pvck >/dev/null || { echo "lvm2 is not installed"; exit 77; }
cd "$work" || exit 1
truncate -s 48M a.img b.img c.img d.img
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img:$work/d.img
same() { "$TENON" copy "$1" - 2>err | cmp -s - "$2" || problem "$1 is not what it was: $(cat err)"; }
head -c 8M /dev/urandom >data
head -c 8M /dev/urandom >more
"$TENON" vg create vg0 a.img b.img c.img d.img --extent-size 1M >out 2>&1 &&
	"$TENON" lv create vg0/root --size 8M >out 2>&1 && "$TENON" copy data vg0/root >out 2>&1 || problem "$(cat out)"

before=$(cat ./*.img | md5sum)
expect 0 'would be raid1, in 2 parts' "$TENON" lv convert vg0/root --mirrors 1 --dry-run
expect 2 'give --type, --mirrors, --split-mirror or --replace' "$TENON" lv convert vg0/root
expect 2 'goes with no other option' "$TENON" lv convert vg0/root --split-mirror b --type raid1
expect 1 'linear, striped, raid0, .* and raid10 are' "$TENON" lv convert vg0/root --type raid99
expect 1 'a reshape, which is not done here' "$TENON" lv convert vg0/root --type raid6
expect 1 'is linear with 1 images already' "$TENON" lv convert vg0/root --mirrors 0
expect 1 '5 new images are needed' "$TENON" lv convert vg0/root --mirrors 5
[ "$before" = "$(cat ./*.img | md5sum)" ] || problem "what was refused has changed something"

"$TENON" serve --socket-dir s >served 2>err &
pids+=($!)
for _ in $(seq 600); do grep -q '^ready' served && break; sleep 0.1; done
expect 0 'is raid1 now, in 2 parts' "$TENON" lv convert vg0/root --mirrors 1
expect 0 'recovery of 8 MiB is done|nothing left' "$TENON" lv repair vg0/root
json "d['type'] == 'raid1' and d['synced_percent'] == 100 and d['served']" "$TENON" lv show vg0/root --json
same vg0/root data
"$TENON" copy more vg0/root >out 2>&1 || problem "$(cat out)"
expect 0 'is raid1 now, in 3 parts' "$TENON" lv convert vg0/root --mirrors 2 d.img
expect 0 'vg0/spare: is a volume of its own now' "$TENON" lv convert vg0/root --split-mirror spare
json "[v for v in d if v['name'] == 'spare'][0]['served']" "$TENON" lv list --json
same vg0/spare more
expect 0 'is raid5 now, in 2 parts' "$TENON" lv convert vg0/root --type raid5
same vg0/root more
expect 0 'is raid1 now' "$TENON" lv convert vg0/root --type raid1
expect 0 'is linear now, in 1 part; its data are kept once' "$TENON" lv convert vg0/root --type linear b.img
same vg0/root more
kill "${pids[0]}" && wait "${pids[0]}"
pids=()
same vg0/root more
json "'a.img' in str(d) and 'b.img' not in str(d)" "$TENON" lv show vg0/root --json
# An image leaves a device that is here.
expect 0 'is raid1 now' "$TENON" lv convert vg0/root --mirrors 1 b.img
expect 2 'replace: goes with no other option' "$TENON" lv convert vg0/root --replace b.img --mirrors 2
expect 1 'none of its images is on the devices' "$TENON" lv convert vg0/root --replace d.img
expect 1 '1 images are to be replaced, and there are not so many PVs' "$TENON" lv convert vg0/root --replace b.img a.img
expect 0 'would be made anew on other devices' "$TENON" lv convert vg0/root --replace b.img --dry-run
expect 0 '1 image is replaced; until the new one is filled it is without its redundancy' "$TENON" lv convert vg0/root --replace b.img c.img
same vg0/root more
json "'c.img' in str(d) and 'b.img' not in str(d)" "$TENON" lv show vg0/root_rimage_1 --json
json "d['synced_percent'] == 100" "$TENON" lv show vg0/root --json
expect 0 '' "$TENON" vg check vg0
expect 0 'root {' env LVM_SUPPRESS_FD_WARNINGS=1 pvck --dump metadata a.img
[ $failures = 0 ]
