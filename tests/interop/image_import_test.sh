#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon image import`: images of several formats become disks that are larger, with their tables and ext4 file systems as sgdisk,
# sfdisk and e2fsck want them; seeds for cloud-init; what fails leaves what was there, and no volume that was made for nothing.
set -u
PATH=$PATH:/usr/sbin
for program in sgdisk sfdisk mke2fs resize2fs mkfs.fat mcopy qemu-img qemu-nbd debugfs; do
	command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES=$work/pv.img TMPDIR=$work/tmp
mkdir tmp
nothing_left() { [ -z "$(ls -A tmp)" ] || problem "tmp has $(ls -A tmp)"; }
# fsck IMAGE OFFSET: and its file system's size in bytes.
fsck() {
	e2fsck -fn "$1?offset=$2" >fsck 2>&1 || problem "$1: $(cat fsck)"
	debugfs -R 'stats -h' "$1?offset=$2" 2>/dev/null | awk '/^Block count/ { b = $3 } /^Block size/ { s = $3 } END { print b * s }'
}

# ---- Images ----
mkdir -p tree/etc
echo base >tree/etc/hostname
head -c 20M /dev/urandom >tree/data
truncate -s 100M gpt.raw
sgdisk -n 1:34M:0 -t 1:8304 -c 1:root -n 14:1M:+33M -t 14:ef00 gpt.raw >/dev/null || exit 1
mkfs.fat -F 16 -n ESP --offset 2048 gpt.raw 33792 >/dev/null 2>&1
mke2fs -q -F -t ext4 -E offset=$((34 << 20)) -d tree gpt.raw $((65 << 10))k || exit 1
for format in qcow2 vmdk vdi vhdx; do qemu-img convert -f raw -O $format gpt.raw gpt.$format || problem "no $format"; done
truncate -s 60M dos.raw
printf '1M,10M,82\n11M,,83,*\n' | sfdisk -q dos.raw
mke2fs -q -F -t ext2 -E offset=$((11 << 20)) -d tree dos.raw 49m || exit 1
truncate -s 40M plain.raw
mke2fs -q -F -t ext3 -d tree plain.raw || exit 1
truncate -s 40M swap.raw
printf '1M,10M,83\n11M,,82\n' | sfdisk -q swap.raw
truncate -s 29M swap && mkswap -q swap >/dev/null && dd if=swap of=swap.raw bs=1M seek=11 conv=notrunc status=none

# ---- Into files ----
for format in qcow2 vmdk vdi vhdx raw; do
	rm -f out.img
	expect 0 'partition 1 and its ext4 file system have 26[56] MiB' $TENON image import gpt.$format out.img --size 300M
	[ "$(stat -c %s out.img)" = $((300 << 20)) ] || problem "$format: $(stat -c %s out.img)"
	sgdisk -v out.img | grep -q 'No problems found' || problem "$format: $(sgdisk -v out.img)"
	[ "$(fsck out.img $((34 << 20)))" = $((265 << 20)) ] || problem "$format: the file system"
	debugfs -R 'dump /data data' "out.img?offset=$((34 << 20))" 2>/dev/null
	cmp data tree/data || problem "$format: the contents"
	[ "$(du -k out.img | cut -f1)" -lt 45000 ] || problem "$format: $(du -k out.img)"
	nothing_left
done
sfdisk -J out.img | grep -q '"lastlba": *614366' || problem "the table ends at $(sfdisk -J out.img | grep lastlba)"
expect 1 'out.img: holds gpt' $TENON image import gpt.qcow2 out.img
expect 0 'ext2 file system have 18[89] MiB' $TENON image import dos.raw out.img --size 200M --force
sfdisk --verify out.img >/dev/null || problem "the dos table: $(sfdisk --verify out.img)"
[ "$(fsck out.img $((11 << 20)))" = $((189 << 20)) ] || problem 'the file system in a dos table'
expect 0 'the disk and its ext3 file system have 80 MiB' $TENON image import plain.raw out.img --size 80M --force
[ "$(fsck out.img 0)" = $((80 << 20)) ] || problem 'a file system on all of the disk'
expect 0 'partition 2 .*has its size still: swap' $TENON image import swap.raw out.img --size 80M --force
cmp -n $((40 << 20)) swap.raw out.img || problem 'a disk that ends with swap was changed'
# An extended partition without any in it is behind the last one: that does not grow over it.
truncate -s 60M extended.raw
printf '1M,39M,83\n40M,10M,5\n' | sfdisk -q extended.raw
mke2fs -q -F -t ext4 -E offset=$((1 << 20)) extended.raw 39m || exit 1
expect 0 'partition 1 .*has its size still: ext4' $TENON image import extended.raw out.img --size 80M --force
cmp -n $((60 << 20)) extended.raw out.img || problem 'a disk with an extended partition at its end was changed'
expect 0 'out2.qcow2' $TENON image import gpt.raw out2.qcow2 --size 200M
qemu-img convert -f qcow2 -O raw out2.qcow2 out2.raw && sgdisk -v out2.raw | grep -q 'No problems' || problem 'into a qcow2 image'

json "d['hostname'] == 'base' and d['size_bytes'] == 200 << 20 and d['problem'] is None" $TENON image show out2.qcow2 --json

# ---- Refused ----
rm -f out.img
expect 1 'the disk in gpt.qcow2 has 100 MiB' $TENON image import gpt.qcow2 out.img --size 50M
cp gpt.raw bad.raw
printf '\xff' | dd of=bad.raw bs=1 seek=$((512 + 40)) conv=notrunc status=none
printf '\xff' | dd of=bad.raw bs=1 seek=$(((100 << 20) - 512 + 40)) conv=notrunc status=none
expect 1 'GPT is damaged' $TENON image import bad.raw out.img --size 200M
cp gpt.raw bad.raw # its root, not to be mended without asking
debugfs -w -R 'clri /etc' "bad.raw?offset=$((34 << 20))" 2>/dev/null
expect 1 'ext4 file system does not grow: e2fsck' $TENON image import bad.raw out.img --size 200M
qemu-img create -q -f qcow2 -b "$work/tree/data" -F raw backing.qcow2
expect 1 'names|backing' $TENON image import backing.qcow2 out.img
expect 1 'none.raw' $TENON image import none.raw out.img
for wrong in '--hostname -x' '--hostname a_b' '--user Root' '--user a:b' '--ssh-key none' "--password-hash tree/etc/hostname" '--ssh-key tree/etc/hostname'; do
	# shellcheck disable=SC2086 # two words
	expect 1 'tenon: ' $TENON image import gpt.raw out.img $wrong
done
# A key that JSON cannot say is refused, not left out.
printf 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIboKGDnBHcF/bVVIjbkqusXS/5i5JQ4GmDwa2V5PMt caf\xe9\n' >latin1.pub
expect 1 'latin1.pub: is no text in UTF-8' $TENON image import gpt.raw out.img --ssh-key latin1.pub
expect 2 'nothing to tell' $TENON image import gpt.raw out.img --seed s.img
[ ! -e out.img ] || problem 'what was refused left a file'
nothing_left
# A command that is killed ends its worker, which does not go on with the disk.
mkfifo never
exec 3<>never
$TENON image import - killed.img <&3 2>/dev/null & pid=$!
head -c 256K gpt.raw >&3
# It is made where it goes, without a name: written once.
waits() { worker=$(cat /proc/$pid/task/$pid/children); worker=${worker% }; readlink /proc/${worker:-0}/fd/* 2>/dev/null | grep -q "^$work/#.*deleted"; }
wait_for waits
[ ! -e "$(echo tmp/*/disk)" ] || problem 'a new file is made elsewhere first'
[ -n "$worker" ] || problem 'there is no worker'
kill -KILL $pid
wait $pid
ended() { ! grep -q '^State:.[^ZX]' /proc/"$worker"/status 2>/dev/null; }
wait_for ended
exec 3>&-
rm -r tmp/*
[ ! -e killed.img ] || problem 'a command that was killed left a file'
# A password in place of its hash is not repeated.
echo 'correct horse' >password
expect 1 'is not one line with the hash' $TENON image import gpt.raw out.img --password-hash password
! $TENON image import gpt.raw out.img --password-hash password 2>&1 | grep -q horse || problem 'a password was printed'

# ---- A seed ----
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIboKGDnBHcF/bVVIjbkqusXS/5i5JQ4GmDwa2V5PMt me@here' >key.pub
printf '%s\n' '$6$saltsalt$FixedHashForTheTestOnlyFixedHashForTheTest' >hash
expect 0 'out-seed.img: seed' $TENON image import gpt.raw out.img --hostname web1.example --user me --ssh-key key.pub --password-hash hash
[ "$(stat -c %a out-seed.img)" = 600 ] || problem "the seed is $(stat -c %a out-seed.img)"
json "d['hostname'] == 'web1.example' and len(d['seed_instance']) == 36 and d['content'] == 'vfat'" $TENON image show out-seed.img --json
mtype -i out-seed.img ::user-data | python3 -c '
import json, sys
head, text = sys.stdin.read().split("\n", 1)
d = json.loads(text)
u = d["users"][0]
assert head == "#cloud-config" and d["hostname"] == "web1.example"
assert u["name"] == "me" and u["ssh_authorized_keys"] == [open("key.pub").read().strip()]
assert u["hashed_passwd"] == open("hash").read().strip() and u["lock_passwd"] is False
' || problem "the seed: $(mtype -i out-seed.img ::user-data)"
$TENON image import gpt.raw out.img --force --user me --password-hash - --seed s.img <hash >/dev/null || problem 'a hash from standard input'
mtype -i s.img ::user-data | grep -q FixedHash || problem 'a hash from standard input is not in the seed'
chmod 644 s.img && cp s.img s.before && cp out.img out.before
expect 1 's.img: is open to others .mode 644.' $TENON image import gpt.raw out.img --force --user me --password-hash hash --seed s.img
cmp s.img s.before && cmp out.img out.before || problem 'refused, and something changed'
rm s.before out.before

# ---- One place for two things: nothing is written ----
cp gpt.raw same.raw && cp same.raw same.before && ln same.raw same.hard && ln -s same.raw same.link
for other in same.raw ./same.raw same.hard same.link "$work/same.raw"; do
	expect 1 'would be the source and the disk' $TENON image import same.raw "$other" --size 200M --force
	expect 1 'would be the source and the seed' $TENON image import same.raw new.img --hostname h --seed "$other" --force
done
for other in new.img ./new.img "$work/new.img" tmp/../new.img; do
	expect 1 'would be the disk and its seed' $TENON image import same.raw new.img --hostname h --seed "$other"
	expect 1 'would be the disk and its initial RAM disk' $TENON image build busybox new.img --initrd "$other" --force
	expect 1 'would be the kernel and the disk' $TENON image build busybox new.img --kernel "$other" --force
	expect 1 'would be the kernel and its initial RAM disk' $TENON image extract same.raw --kernel new.img --initrd "$other"
done
expect 1 'would be the disk and its kernel' $TENON image extract same.raw --kernel same.link --force
cmp same.raw same.before && [ ! -e new.img ] || problem 'refused, and something changed'
rm same.*
nothing_left

# ---- What killed ones left goes; what others use, or made, stays ----
mkdir -p tmp/tenon-image-killed/root tmp/tenon-image-in-use tmp/tenon-image-others tmp/tenon-image-another
touch tmp/tenon-image-killed/.lock tmp/tenon-image-in-use/.lock tmp/tenon-image-killed/root/disk tmp/tenon-image-another/.lock
exec 9<tmp/tenon-image-in-use/.lock && flock 9
expect 1 'none.qcow2' $TENON image import none.qcow2 out.img --force
[ "$(ls tmp | tr '\n' ' ')" = 'tenon-image-another tenon-image-in-use tenon-image-others ' ] || problem "tmp has $(ls tmp)"
exec 9<&-
rm -r tmp/*
# A real one: it waits for a pipe that nobody writes to.
mkfifo waits.qcow2
$TENON image import waits.qcow2 new.img & pid=$!
wait_for eval '[ -e tmp/tenon-image-*/.lock ]'
kill -9 $pid && wait $pid 2>/dev/null
gone() { $TENON image import none.qcow2 out.img --force 2>/dev/null; [ -z "$(ls -A tmp)" ]; }
wait_for gone

# A file has its name in errors before it has it.
expect 1 'tenon: early.img: .*File too large' bash -c 'ulimit -f 1000; exec "$@"' _ $TENON image import gpt.raw early.img
[ ! -e early.img ] || problem 'a file is left that was not whole'

# ---- Volumes, which are made; with a server, too ----
truncate -s 900M pv.img
$TENON vg create vg0 pv.img || exit 1
expect 0 'vg0/web1-seed: seed' $TENON image import gpt.qcow2 vg0/web1 --size 200M --hostname web1
json "[(r['name'], r['hostname'], r['size_bytes']) for r in d] == [('vg0/web1', 'base', 200 << 20), ('vg0/web1-seed', 'web1', 4 << 20)]" $TENON image list --json
expect 1 'vg0/web1: holds gpt' $TENON image import gpt.qcow2 vg0/web1
expect 0 'vg0/web1: 200 MiB' $TENON image import gpt.qcow2 vg0/web1 --size 150M --force
expect 1 'vg0/web1: has 200 MiB' $TENON image import gpt.qcow2 vg0/web1 --size 300M --force
expect 1 'its group has free' $TENON image import gpt.qcow2 vg0/big --size 2G
expect 1 'no such volume group|no volume group' $TENON image import gpt.qcow2 nogroup/web --size 200M
$TENON lv create vg0/fixed --size 120M || exit 1
expect 0 'vg0/fixed: 120 MiB of gpt.raw' $TENON image import gpt.raw vg0/fixed
# Room for the disk, but not for its seed: neither is left.
room=$($TENON vg show vg0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["free_bytes"])')
expect 1 'vg0' $TENON image import gpt.raw vg0/whole --size $((room >> 20))M --hostname whole
! $TENON lv show vg0/whole >/dev/null 2>&1 || problem 'a volume is left that was made for nothing'
launch serve.log $TENON serve --socket-dir sockets || problem "the server: $(cat serve.log)"
expect 0 'vg0/web2: 152 MiB' $TENON image import gpt.qcow2 vg0/web2 --size 150M --hostname web2
expect 0 'vg0/web1: 200 MiB of gpt.raw' $TENON image import gpt.raw vg0/web1 --force
json "[r['problem'] for r in d] == [None] * 5 and d[-2]['name'] == 'vg0/web2'" $TENON image list --json
$TENON copy vg0/web2 web2.img && sgdisk -v web2.img | grep -q 'No problems' || problem 'a volume of a server'
fsck web2.img $((34 << 20)) >/dev/null
nothing_left

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
