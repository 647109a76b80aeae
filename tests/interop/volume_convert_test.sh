#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `lv convert` while a server has the volume, and without one; lvm2's own check takes the metadata. Then a reshape that lvm2 was stopped in the beginning of:
# what its first commit says is read, not written to, and begun by `lv repair`.
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
expect 2 'give --type, --mirrors, --stripes, --stripe-size, --split-mirror, --track-changes, --merge or --replace' "$TENON" lv convert vg0/root
expect 2 'goes with no other option' "$TENON" lv convert vg0/root --split-mirror b --type raid1
expect 1 'linear, striped, raid0, .* and raid10 are' "$TENON" lv convert vg0/root --type raid99
expect 1 'becomes no raid6 from linear in one step' "$TENON" lv convert vg0/root --type raid6
expect 1 'after each: --type raid1 --mirrors 1; --type raid5_n; --stripes 3, twice; --type raid6' "$TENON" lv convert vg0/root --type raid6
expect 1 'only raid4, 5, 6 and 10 get other stripes' "$TENON" lv convert vg0/root --stripes 2
expect 2 'goes with --stripes' "$TENON" lv convert vg0/root --type raid1 --force
expect 1 'either another type or another number of stripes' "$TENON" lv convert vg0/root --type raid1 --stripes 2
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

truncate -s 32M e.img f.img g.img h.img i.img
export TENON_DEVICES=$work/e.img:$work/f.img:$work/g.img:$work/h.img:$work/i.img
"$TENON" vg create vg1 e.img f.img g.img h.img i.img --extent-size 1M >out 2>&1 && "$TENON" lv create vg1/a --type raid5 --stripes 2 --size 8M >out 2>&1 &&
	"$TENON" lv repair vg1/a >out 2>&1 && "$TENON" copy data vg1/a >out 2>&1 && "$TENON" vg backup vg1 --file old.txt >out 2>&1 || problem "$(cat out)"
python3 - <<'EDIT'
import re
text = open("old.txt").read()
def segment(number, start, count, pv, at, flag):
    room = "" if start else "reshape_count = 1"
    return f'segment{number} {{\nstart_extent = {start}\nextent_count = {count}\n{room}\ntype = "striped{flag}"\nstripe_count = 1\nstripes = [ "pv{pv}", {at} ]\n}}\n'
def image(pv, flag=""):
    return segment(1, 0, 1, pv, 10, flag) + segment(2, 1, 4, pv, 1, flag)
def volume(name, letter, segments, count):
    return f'{name} {{\nid = "{6 * letter}-ZBUa-oTU1-Fuex-gyVR-hKU7-VLtL2D"\nstatus = ["READ", "WRITE"]\nflags = []\ncreation_time = 1\ncreation_host = "h"\nsegment_count = {count}\n{segments}}}\n'
text = re.sub(r'extent_count = 8\s+type = "raid5"\s+device_count = 3', 'extent_count = 15\nreshape_count = 1\ntype = "raid5_ls+RESHAPE+RESHAPE_DATA_OFFSET"\ndevice_count = 4\ndata_offset = 2048', text)
text = text.replace('"a_rmeta_2", "a_rimage_2"', '"a_rmeta_2", "a_rimage_2", "a_rmeta_3", "a_rimage_3"')
for pv in range(3):
    text = re.sub(rf'(a_rimage_{pv} {{.*?)segment_count = 1\s+segment1 {{.*?]\s+}}', lambda found: found[1] + "segment_count = 2\n" + image(pv), text, count=1, flags=re.S)
new = volume("a_rmeta_3", "a", segment(1, 0, 1, 3, 0, "").replace("reshape_count = 1", ""), 1) + volume("a_rimage_3", "b", image(3, "+RESHAPE_DELTA_DISKS_PLUS"), 2)
open("begun.txt", "w").write(text.replace("a_rmeta_0 {", new + "a_rmeta_0 {", 1))
EDIT
expect 0 'restored from begun.txt' "$TENON" vg restore vg1 --file begun.txt --yes --force
same vg1/a data
before=$(cat [e-h].img | md5sum)
expect 1 'opens for reading only: a reshape of it was to begin' "$TENON" copy data vg1/a --force
expect 0 'State: *read-only' "$TENON" lv show vg1/a
expect 0 'Problem: *a reshape of it was to begin .*`tenon lv repair vg1/a` begins it' "$TENON" lv show vg1/a
expect 1 'is reshaped, or keeps the room' "$TENON" lv convert vg1/a --type raid6
expect 1 'was stopped as a reshape of it began' "$TENON" lv convert vg1/a --stripes 2
expect 1 'is reshaped, or keeps the room' "$TENON" lv resize vg1/a --size 20M
[ "$before" = "$(cat [e-h].img | md5sum)" ] || problem "what was refused has changed something"
# The image that comes with it is lost, and another takes its place.
mkdir lost && cp --sparse=always e.img f.img g.img i.img lost
expect 0 '' env TENON_DEVICES="$work/lost/e.img:$work/lost/f.img:$work/lost/g.img:$work/lost/i.img" "$TENON" lv repair vg1/a
TENON_DEVICES=$work/lost/e.img:$work/lost/f.img:$work/lost/g.img:$work/lost/i.img "$TENON" copy vg1/a - 2>err | head -c 8M | cmp -s - data || problem "with another image a reshape has changed data: $(cat err)"
# And one that is begun by `lv repair`, with all of its images.
cp --sparse=always [e-i].img lost
expect 0 '' env TENON_DEVICES="${TENON_DEVICES//$work/$work/lost}" "$TENON" lv repair vg1/a
TENON_DEVICES=${TENON_DEVICES//$work/$work/lost} "$TENON" copy vg1/a - 2>err | head -c 8M | cmp -s - data || problem "a reshape that lv repair began has changed data: $(cat err)"
rm -r lost
# A server begins it, and has it to write to.
"$TENON" serve --socket-dir s >served 2>err &
pids+=($!)
for _ in $(seq 600); do grep -q '^ready' served && break; sleep 0.1; done
grep -q '^vg1/a ' served || problem "it is not served: $(cat served err)"
grep -q 'vg1/a: a reshape of it was to begin .* it goes on' err || problem "the server does not say so: $(cat err)"
expect 0 'State: *writable' "$TENON" lv show vg1/a
expect 0 '' "$TENON" lv repair vg1/a
"$TENON" copy vg1/a - 2>err | head -c 8M | cmp -s - data || problem "a reshape that was begun here has changed data: $(cat err)"
json "d['size_bytes'] == 12 << 20 and d['type'] == 'raid5_ls'" "$TENON" lv show vg1/a --json
"$TENON" pv dump --metadata e.img >out 2>&1
grep -q 'raid5_ls+RESHAPE+RESHAPE_DATA_OFFSET' out && ! grep -Eq 'data_offset =|DELTA_DISKS' out || problem "the second commit was not made: $(cat out)"
expect 0 '0 bytes differ' "$TENON" lv scrub vg1/a
expect 0 'raid5_ls' env LVM_SUPPRESS_FD_WARNINGS=1 pvck --dump metadata e.img

# All of a reshape through the server: room goes back, by the command that is said, there are more stripes, and it says how far it is.
expect 0 'Reshape room: *[1-9]' "$TENON" lv show vg1/a
json "d['reshape_room_command'] == 'tenon lv convert vg1/a --type raid5_ls'" "$TENON" lv show vg1/a --json
expect 0 '' "$TENON" lv convert vg1/a --type raid5_ls
json "d['reshape_room_command'] is None and d['reshape_room_bytes'] is None" "$TENON" lv show vg1/a --json
expect 0 '' "$TENON" lv convert vg1/a --stripes 4
json "len([row for row in d if row['name'].startswith('a_rimage_')]) == 5" "$TENON" lv list vg1 --all --json
expect 0 '' "$TENON" lv repair vg1/a
json "d['synced_percent'] == 100 and d['size_bytes'] == 16 << 20 and d['state'] == 'writable'" "$TENON" lv show vg1/a --json
"$TENON" copy vg1/a - 2>err | head -c 8M | cmp -s - data || problem "a reshape in the server has changed data: $(cat err)"
expect 1 'is in use' "$TENON" lv convert vg1/a --stripes 3
expect 0 '' "$TENON" lv convert vg1/a --stripes 4
expect 1 'already' "$TENON" lv convert vg1/a --stripes 4
expect 0 '0 bytes differ' "$TENON" lv scrub vg1/a
expect 2 'merge: takes no devices' "$TENON" lv convert vg1/a --merge e.img
[ $failures = 0 ]
