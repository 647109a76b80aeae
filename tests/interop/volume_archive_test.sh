#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Copies of metadata before and after each change: what is kept, restored by us, and by the real vgcfgrestore.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
tenon=${TENON:-$root/${BUILD:-build}/tenon}
work=$(mktemp -d)
loops=
server=
trap '[ -z "$server" ] || kill $server; for loop in $loops; do losetup -d $loop; done; rm -rf "$work"' EXIT
cd "$work"
mkdir run
export LC_ALL=C TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state TENON_DEVICES=$work/a.img:$work/b.img
export LVM_SUPPRESS_FD_WARNINGS=1
unset TENON_ARCHIVE TENON_ARCHIVE_MIN TENON_ARCHIVE_DAYS
yes=$("$tenon" lv remove --help | grep -q -- --yes && echo --yes || true)
fail() { echo "failed: $*"; exit 1; }
names() { "$tenon" lv list --json | python3 -c 'import json, sys; print(*sorted(v["name"] for v in json.load(sys.stdin)))'; }

truncate -s 64M a.img b.img
"$tenon" vg create vg0 a.img b.img
[ -z "$(ls state/archive 2>/dev/null)" ] || fail "a group that is made has a past"
"$tenon" lv create vg0/one --size 8M
"$tenon" lv create vg0/two --size 60M
head -c 8M /dev/urandom >data
"$tenon" copy data vg0/one >/dev/null
"$tenon" lv remove vg0/one $yes
[ "$(ls state/archive | sed 's/-.*//' | tr '\n' ' ')" = "vg0_00000 vg0_00001 vg0_00002 " ] || fail "the archive: $(ls state/archive)"
grep -q 'description = "Created \*before\* executing .tenon lv remove vg0/one.' state/archive/vg0_00002* || fail "no description"
grep -q 'description = "Created \*after\* executing .tenon lv remove vg0/one.' state/backup/vg0_* || fail "no backup"
[ "$(stat -c %a state/archive/vg0_00002*)" = 600 ] || fail "others may read it"

# what the file says was there is there again, with its data
"$tenon" vg archive vg0 --json >list.json
python3 - <<'PY' || fail "the list"
import json
rows = json.load(open("list.json"))
assert [row["kind"] for row in rows] == ["archive"] * 3 + ["backup"], rows
assert [row["seqno"] for row in rows] == [1, 2, 3, 4], rows
PY
"$tenon" vg restore vg0 --file state/archive/vg0_00002* >/dev/null
[ "$(names)" = "one two" ] || fail "restored: $(names)"
"$tenon" copy vg0/one - 2>/dev/null | cmp - data || fail "other data"
"$tenon" vg show vg0 --json | grep -q '"seqno": 5' || fail "the number does not rise"

# volumes that are not in the file, would be cut, or lie elsewhere are lost only when that is meant; a dry run changes nothing
before=$(md5sum a.img b.img)
"$tenon" vg restore vg0 --file state/archive/vg0_00000* >said 2>&1 && fail "volumes are lost without a word"
grep -q 'vg0/one, of 8 MiB, is not in the file and would be lost' said || fail "$(cat said)"
grep -q -- '--yes says that this is meant' said || fail "no way on: $(cat said)"
"$tenon" vg restore vg0 --file state/archive/vg0_00000* --dry-run >said || fail "dry run: $(cat said)"
grep -q 'vg0: would get the metadata of .*vg0_00000.*, number 1$' said || fail "dry run: $(cat said)"
grep -q 'vg0/two, of 60 MiB, is not in the file' said || fail "dry run: $(cat said)"
[ "$(md5sum a.img b.img)" = "$before" ] || fail "a dry run or a refusal wrote"
"$tenon" vg backup vg0 --file small >/dev/null
"$tenon" lv extend vg0/one --size 12M >/dev/null
"$tenon" vg restore vg0 --file small >said 2>&1 && fail "a volume is cut without a word"
grep -q 'vg0/one would be cut from 12 MiB to 8 MiB' said || fail "$(cat said)"
"$tenon" vg restore vg0 --file small --yes >/dev/null || fail "--yes"
"$tenon" lv show vg0/one --json | grep -q '"size_bytes": 8388608' || fail "not cut"
"$tenon" vg restore vg0 --file small --dry-run >said || fail "dry run: $(cat said)"
[ "$(wc -l <said)" = 1 ] || fail "the same again loses something: $(cat said)"
sed 's/"pv0", \([0-9]*\)/"pv0", 1\1/' small >elsewhere
for how in --yes --dry-run; do
	"$tenon" vg restore vg0 --file elsewhere $how >said 2>&1 && fail "a volume that lies elsewhere by now is read from its old place"
	grep -q 'elsewhere: is not restored: volume one, a linear in it, lies elsewhere by now' said || fail "$(cat said)"
	grep -q -- --force said || fail "no way on: $(cat said)"
done
"$tenon" vg restore vg0 --file elsewhere --force --dry-run >said || fail "dry run: $(cat said)"
grep -q 'vg0/one would lie elsewhere' said || fail "elsewhere: $(cat said)"

# a RAID volume that has another image by now is refused, by a dry run too
truncate -s 32M c.img d.img
TENON_DEVICES=$TENON_DEVICES:$work/c.img:$work/d.img
"$tenon" vg create vgm c.img d.img >/dev/null
"$tenon" lv create vgm/m --type raid1 --size 4M >/dev/null
"$tenon" lv repair vgm/m >/dev/null
"$tenon" vg backup vgm --file mirrored >/dev/null
"$tenon" lv convert vgm/m --type linear >/dev/null
for how in --yes --dry-run; do
	"$tenon" vg restore vgm --file mirrored $how >said 2>&1 && fail "images that missed writes are taken back"
	grep -q 'mirrored: is not restored: volume m, a raid1 in it, is linear by now' said || fail "$(cat said)"
done
"$tenon" vg restore vgm --file mirrored --force --dry-run >said 2>&1 || fail "--force: $(cat said)"
# one that was linear and is a mirror now is linear again, on the image that lies there
"$tenon" vg backup vgm --file plain >/dev/null
"$tenon" lv convert vgm/m --type raid1 >/dev/null
"$tenon" vg restore vgm --file plain --dry-run >said 2>&1 || fail "an image that is current: $(cat said)"
grep -q 'vgm/m would be linear, on what is its image m_rimage_0' said || fail "$(cat said)"
grep -q lost said && fail "nothing is lost: $(cat said)"
"$tenon" copy vgm/m before.raw
"$tenon" vg restore vgm --file plain --yes >/dev/null || fail "an image that is current"
"$tenon" copy vgm/m - | cmp - before.raw || fail "m reads otherwise"
TENON_DEVICES=$work/a.img:$work/b.img
rm state/*/vgm_*

# a full disk, or no place at all, is told, and holds nothing up
TENON_STATE_DIR=/dev/full/x "$tenon" lv create vg0/three --size 4M 2>said
grep -q 'before this change was not kept' said || fail "silent: $(cat said)"
[ "$(names)" = "one three two" ] || fail "held up: $(names)"
# what is not metadata, is not all there, or is somebody else's is refused
echo hello >bad
"$tenon" vg restore vg0 --file bad 2>said && fail "took a bad file"
TENON_DEVICES=$work/a.img "$tenon" vg restore vg0 --file state/archive/vg0_00002* 2>said && fail "took half a group"
grep -q 'is missing' said || fail "$(cat said)"
# only so many stay
for size in 8 12 16; do TENON_ARCHIVE_MIN=2 TENON_ARCHIVE_DAYS=0 "$tenon" lv resize vg0/one --size ${size}M $yes; done 2>/dev/null
[ "$(ls state/archive | wc -l)" -le 3 ] || fail "they do not go: $(ls state/archive)"
# A backup takes no other file's place: not that of a disk, nor of a device. Over an older one it goes.
echo mine >notes && cp a.img a.before && mkfifo pipe && ln -s a.img disk
for there in a.img disk notes pipe; do
	"$tenon" vg backup vg0 --file $there 2>said && fail "a backup went over $there"
	grep -q "$there: is there, and is no file of a group's metadata" said || fail "$(cat said)"
done
cmp a.img a.before && [ "$(cat notes)" = mine ] && [ -p pipe ] && [ -L disk ] || fail "a refused backup changed something"
rm a.before disk pipe
(ulimit -f 1; exec "$tenon" vg backup vg0 --file saved) >/dev/null 2>&1 && fail "it was killed" || true
[ -z "$(ls | grep saved)" ] || fail "a backup that was killed left $(ls | grep saved)"
"$tenon" vg backup vg0 --file saved >/dev/null
# metadata areas that were wiped come back from the backup
"$tenon" vg backup vg0 --file saved >/dev/null
dd if=/dev/zero of=a.img bs=4096 seek=1 count=4 conv=notrunc status=none
dd if=/dev/zero of=b.img bs=4096 seek=1 count=4 conv=notrunc status=none
"$tenon" vg restore vg0 --file saved >/dev/null || fail "wiped areas"
[ "$(names)" = "one three two" ] || fail "after wiping: $(names)"

# What a server is asked for is said to be by the command that asked; a change without one is the server's own
mkdir sockets
"$tenon" serve vg0 --socket-dir sockets >log 2>&1 & server=$!
for _ in $(seq 600); do ! grep -q ready log || break; sleep 0.1; done
by() { # COMMAND...: runs it; what it says of itself
	"$tenon" "$@" >said 2>&1 || fail "tenon $*: $(cat said)"
	"$tenon" vg show vg0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["description"])'
}
kept() { grep -h '^description' "state/backup/vg0_"*; }
[ "$(by lv create vg0/four --size 4M)" = "Write from tenon lv create vg0/four." ] || fail "who made it: $(cat said)"
kept | grep -q "Created .after. executing 'tenon lv create vg0/four'" || fail "who made it, in the backup: $(kept)"
grep -qh "Created .before. executing 'tenon lv create vg0/four'" state/archive/vg0_* || fail "who made it, in the archive"
body() { sed -n '/^vg0 {/,$p' "$1"; }
for what in "vg tag vg0 --add x" "lv extend vg0/four --size +4M" "lv tag vg0/four --add y"; do
	cp state/backup/vg0_* after
	by $what >/dev/null
	body "$(ls state/archive/vg0_* | tail -n 1)" | cmp - <(body after) || fail "before $what was not what was after the change before"
	"$tenon" vg backup vg0 --file after >/dev/null
	body state/backup/vg0_* | cmp - <(body after) || fail "what is kept after $what is not what there is"
done
[ "$(by vg tag vg0 --add z)" = "Write from tenon vg tag." ] || fail "who tagged it"
[ "$(by lv remove vg0/four $yes)" = "Write from tenon lv remove vg0/four." ] || fail "who removed it"
"$tenon" vg tag vg0 --delete x
"$tenon" vg tag vg0 --delete z
kill $server; wait $server; server=

# Groups of one name are told apart: by their UUIDs, and the backup is that of the one that is here
truncate -s 32M g.img h.img
uuid() { TENON_DEVICES=$1 "$tenon" vg show vgn --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["uuid"])'; }
for image in g h; do
	TENON_DEVICES=$work/$image.img "$tenon" vg create vgn $image.img
	TENON_DEVICES=$work/$image.img "$tenon" lv create vgn/$image --size 4M
done
"$tenon" vg archive vgn >said
for image in g h; do grep -q "$(uuid $work/$image.img).*lv create vgn/$image" said || fail "whose $image is: $(cat said)"; done
for image in g h; do
	TENON_DEVICES=$work/$image.img "$tenon" vg restore vgn --dry-run >said 2>&1 || fail "a backup of two: $(cat said)"
	grep -q "of $work/state/backup/vgn_$(uuid $work/$image.img | cut -c 1-6)" said || fail "the wrong backup: $(cat said)"
done
"$tenon" vg restore vgn --dry-run 2>said && fail "neither is here"
grep -q 'backups of two groups' said || fail "$(cat said)"
# The backup of one is nothing for the other, which has its name
g=state/backup/vgn_$(uuid $work/g.img | cut -c 1-6) h=state/backup/vgn_$(uuid $work/h.img | cut -c 1-6)
cp g.img before
for how in --yes --dry-run; do
	TENON_DEVICES=$work/g.img "$tenon" vg restore vgn --file $h $how 2>said && fail "took the other one's"
	grep -q "which is not on the devices; another one of that name is, with UUID $(uuid $work/g.img)" said || fail "$(cat said)"
done
cmp g.img before || fail "it wrote"
# One whose UUID was changed since, or that was made anew on the same physical volumes: refused with why, and by --force put over it
old=$(uuid $work/g.img)
cp $g older
TENON_DEVICES=$work/g.img "$tenon" vg change vgn --uuid
new=$(uuid $work/g.img)
[ "$old" != "$new" ] || fail "the same UUID"
TENON_DEVICES=$work/g.img "$tenon" lv create vgn/more --size 4M
cp g.img before
for how in --yes --dry-run; do
	TENON_DEVICES=$work/g.img "$tenon" vg restore vgn --file older $how 2>said && fail "took what is older than the UUID"
	grep -q "older: is of volume group vgn with UUID $old; vgn on .*g.img has UUID $new now" said || fail "$(cat said)"
	grep -q -- '--force restores the file over it' said || fail "no way on: $(cat said)"
done
TENON_DEVICES=$work/g.img "$tenon" vg restore vgn --file older --force --dry-run >said || fail "$(cat said)"
grep -q 'vgn/more, of 4 MiB, is not in the file and would be lost' said || fail "$(cat said)"
cmp g.img before || fail "it wrote"
TENON_DEVICES=$work/g.img "$tenon" vg restore vgn --file older --force --yes >said 2>&1 || fail "$(cat said)"
[ "$(uuid $work/g.img)" = "$new" ] || fail "the UUID is $(uuid $work/g.img)"
[ "$(TENON_DEVICES=$work/g.img names)" = g ] || fail "restored: $(TENON_DEVICES=$work/g.img names)"
TENON_DEVICES=$work/g.img "$tenon" vg check vgn >/dev/null || fail "it is damaged"

# One that is another host's by now is not ours to restore, nor is one that is elsewhere by now written to where it was
truncate -s 32M k.img l.img
TENON_DEVICES=$work/k.img:$work/l.img
"$tenon" vg create vgk k.img
"$tenon" vg backup vgk --file old
"$tenon" vg change vgk --systemid host-1
cp k.img before
for how in --yes --dry-run; do
	"$tenon" vg restore vgk --file old $how 2>said && fail "took a group from its host"
	grep -q 'old: is not restored: .*belongs to the host with system ID host-1' said || fail "$(cat said)"
	grep -q 'vg change vgk --systemid' said || fail "no way on: $(cat said)"
done
cmp k.img before || fail "it wrote"
"$tenon" vg change vgk --systemid '' --yes
"$tenon" vg extend vgk l.img
"$tenon" vg reduce vgk k.img
cp k.img before
for how in --yes --dry-run '--yes --force'; do
	"$tenon" vg restore vgk --file old $how 2>said && fail "restored beside the group itself"
	grep -q 'old: knows nothing of PV .*l.img), which is in the group now' said || fail "$(cat said)"
done
cmp k.img before || fail "it wrote"
TENON_DEVICES=$work/a.img:$work/b.img

# A text is kept once, though a group that is split off has it on its devices, too
truncate -s 32M e.img f.img
TENON_DEVICES=$TENON_DEVICES:$work/e.img:$work/f.img
"$tenon" vg create vgs e.img f.img
"$tenon" vg split vgs vgt f.img
"$tenon" vg archive --json | python3 -c '
import json, sys
rows = [row for row in json.load(sys.stdin) if row["vg"] in ("vgs", "vgt") and row["kind"] == "archive"]
texts = [(row["uuid"], row["seqno"]) for row in rows]
assert len(texts) == len(set(texts)) and ("vgs", 1) in [(row["vg"], row["seqno"]) for row in rows], rows' || fail "a text is kept twice"

for tool in vgcfgrestore losetup; do
	command -v $tool >/dev/null || { echo "$tool is not installed: not asked"; exit 0; }
done
[ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1 || { echo "lvm2 wants root and loop devices: not asked"; exit 0; }
for image in a.img b.img; do loops="$loops $(losetup -f --show $image)"; done
set -- $loops
config="devices { use_devicesfile=0 filter=[\"a|^$1\$|\",\"a|^$2\$|\",\"r|.*|\"] obtain_device_list_from_udev=0 external_device_info_source=\"none\" } backup { backup=0 archive=0 } global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 }"
lvm() { command lvm "$1" --driverloaded n --config "$config" "${@:2}"; }
lvm vgcfgrestore -y -f "$(ls -d state/archive/vg0_* | tail -n 1)" vg0 >said 2>&1 || fail "vgcfgrestore: $(cat said)"
lvm vgck vg0 || fail vgck
lvm vgcfgbackup -f theirs vg0 >/dev/null || fail vgcfgbackup
lvm lvremove -y vg0/two >/dev/null 2>&1 || fail lvremove
for loop in $loops; do losetup -d "$loop"; done
loops=
"$tenon" vg restore vg0 --file theirs >/dev/null || fail "LVM2's own file"
[ "$(names)" = "one three two" ] || fail "from LVM2's file: $(names)"
