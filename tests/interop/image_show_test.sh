#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon image list|show|extract`: what is on disks that sgdisk, sfdisk, mke2fs, mkfs.fat and mtools made, as they say it; with
# tables that are damaged, links that lead out, names that are none; of files, partitions, volumes, also of a running server.
set -u
PATH=$PATH:/usr/sbin
for program in sgdisk sfdisk mke2fs mkfs.fat mcopy blkid; do
	command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES=$work/pv.img

# ---- A disk with an ESP and a root ----
mkdir -p tree/etc tree/boot tree/usr/lib tree/etc/cloud
printf 'PRETTY_NAME="Some Linux 7"\nID=some\nVERSION_ID="7"\n' >tree/usr/lib/os-release
ln -s ../usr/lib/os-release tree/etc/os-release
echo web1 >tree/etc/hostname
echo x >tree/etc/cloud/cloud.cfg
echo 'kernel 9' >tree/boot/vmlinuz-6.1.0-9
head -c 300000 /dev/urandom >tree/boot/vmlinuz-6.1.0-10
head -c 700000 /dev/urandom >tree/boot/initrd.img-6.1.0-10
truncate -s 200M disk.img
sgdisk -n 1:1M:+33M -t 1:ef00 -c 1:esp -n 2:0:0 -t 2:8304 -c 2:root disk.img >/dev/null || exit 1
mkfs.fat -F 16 -n ESP --offset 2048 disk.img 33792 >/dev/null 2>&1 || exit 1
mmd -i disk.img@@1M ::EFI ::EFI/BOOT ::loader ::loader/entries
echo x >file
mcopy -i disk.img@@1M file ::EFI/BOOT/BOOTX64.EFI
mcopy -i disk.img@@1M file ::loader/entries/debian-6.1.0-10.conf
mke2fs -q -F -t ext4 -L root -E offset=$((34 << 20)) -d tree disk.img $((165 << 10))k || exit 1
json "d['partition_table'] == 'gpt' and d['os'] == 'Some Linux 7' and d['hostname'] == 'web1' and d['kernel'] == '6.1.0-10' and d['problem'] is None
	and d['partition_count'] == 2 and d['size_bytes'] == 200 << 20 and d['name'] == '$work/disk.img'" $TENON image show disk.img --json
json "(lambda e, r: e['boot_files'] == ['EFI/BOOT/BOOTX64.EFI', 'loader/entries/debian-6.1.0-10.conf'] and e['label'] == 'ESP' and e['content'] == 'vfat'
	and e['start_bytes'] == 1 << 20 and e['type'] == 'EFI system' and e['name'] == 'esp' and 0 < e['used_bytes'] < 100000
	and r['kernel_versions'] == ['6.1.0-9', '6.1.0-10'] and r['cloud_init'] and r['os_id'] == 'some' and r['os_version'] == '7' and r['label'] == 'root')
	(*d['parts'])" $TENON image show disk.img --json
# As the other tools have it.
$TENON image show disk.img --json | python3 -c '
import json, subprocess, sys
ours, theirs = json.load(sys.stdin), json.loads(subprocess.check_output(["sfdisk", "-J", "disk.img"]))["partitiontable"]
assert ours["table_uuid"] == theirs["id"].lower()
for one, other in zip(ours["parts"], theirs["partitions"], strict=True):
    assert one["start_bytes"] == other["start"] * 512 and one["size_bytes"] == other["size"] * 512, one
    assert one["partition_uuid"] == other["uuid"].lower() and one["type_uuid"] == other["type"].lower(), one
    line = subprocess.check_output(["blkid", "-p", "-o", "export", "-O", str(one["start_bytes"]), "disk.img"], text=True)
    said = dict(l.split("=", 1) for l in line.splitlines() if "=" in l)
    assert one["uuid"] == said["UUID"] and one["content"] == said["TYPE"], (one, said)
' || problem 'sfdisk and blkid say otherwise'
free=$(debugfs -R 'stats -h' "disk.img?offset=$((34 << 20))" 2>/dev/null | awk '/^Block count/ { b = $3 } /^Free blocks/ { f = $3 } /^Block size/ { s = $3 } END { print (b - f) * s }')
json "d['parts'][1]['used_bytes'] == ${free:-0}" $TENON image show disk.img --json
expect 0 'disk.img .*200 MiB .*gpt .*Some Linux 7 .*6.1.0-10 .*web1' $TENON image list disk.img
json "d['partition_table'] is None and d['content'] == 'ext4' and d['os'] == 'Some Linux 7'" $TENON image show disk.img:2 --json
# Its kernel.
expect 0 'Linux 6.1.0-10' $TENON image extract disk.img --kernel kernel --initrd initrd
cmp kernel tree/boot/vmlinuz-6.1.0-10 && cmp initrd tree/boot/initrd.img-6.1.0-10 || problem 'the kernel is another'
expect 0 'Linux 6.1.0-9' $TENON image extract disk.img --kernel old --version 6.1.0-9
cmp old tree/boot/vmlinuz-6.1.0-9 || problem 'the older kernel'
expect 1 'no kernel 5' $TENON image extract disk.img --kernel none --version 5
expect 1 'initrd.img-6.1.0-9' $TENON image extract disk.img --initrd none --version 6.1.0-9
expect 1 'disk.img: ' $TENON image extract disk.img --kernel disk.img
[ ! -e none ] || problem 'what failed left a file'
expect 2 'give --kernel' $TENON image extract disk.img
# What it is booted with: entries on the ESP, one for each kernel; before these a grub.cfg beside the kernel, of which what only GRUB knows is left out.
printf 'title x\nversion 6.1.0-9\nlinux /debian/6.1.0-9/linux\noptions root=PARTUUID=old\n' >one.conf
printf 'title x\nversion 6.1.0-10\nlinux /debian/6.1.0-10/linux\noptions root=PARTUUID=1234 ro\n  options\tquiet \033[2J $extra\n' >two.conf
mcopy -i disk.img@@1M one.conf two.conf ::loader/entries/
expect 0 'menu gives that kernel: root=PARTUUID=1234 ro quiet$' $TENON image extract disk.img --kernel kernel --force
expect 0 'menu gives that kernel: root=PARTUUID=old$' $TENON image extract disk.img --kernel old --version 6.1.0-9 --force
printf 'if x; then\n\tlinux /boot/vmlinuz-6.1.0-9 root=no\n\tlinux\t/boot/vmlinuz-6.1.0-10 root=UUID=5 ro $more  console=tty0\n\tlinux /boot/vmlinuz-6.1.0-10 root=UUID=5 single\n' >grub.cfg
debugfs -w -f - "disk.img?offset=$((34 << 20))" >/dev/null 2>&1 <<'END'
mkdir /boot/grub
write grub.cfg /boot/grub/grub.cfg
END
expect 0 'menu gives that kernel: root=UUID=5 ro console=tty0$' $TENON image extract disk.img --kernel kernel --force
# A small /boot has blocks of 1 KiB, of which an initial RAM disk has many.
mkdir -p smallboot/grub2 && printf 'linux /vmlinuz-6 root=LABEL=r\n' >smallboot/grub2/grub.cfg
echo kernel >smallboot/vmlinuz-6 && head -c 52M /dev/urandom >smallboot/initrd.img-6
truncate -s 100M boot.img && mke2fs -q -F -t ext4 -b 1024 -d smallboot boot.img || exit 1
expect 0 'menu gives that kernel: root=LABEL=r' $TENON image extract boot.img --kernel bootkernel
expect 0 'Linux 6 of boot.img' $TENON image extract boot.img --kernel bootkernel --initrd bootinitrd
cmp bootinitrd smallboot/initrd.img-6 || problem 'an initial RAM disk in blocks of 1 KiB'
rm -r smallboot boot.img bootinitrd
# Of entries 64 are read, and not what comes after ever so many.
mkdir -p many/boot/loader/entries && echo kernel >many/boot/vmlinuz-6
echo 'version 5' >none.conf && printf 'version 6\noptions root=LABEL=late\n' >late.conf
truncate -s 8M many.img && mke2fs -q -F -t ext4 -d many many.img || exit 1
{ echo 'cd /boot/loader/entries'; seq -f 'write none.conf e%g.conf' 80; echo 'write late.conf late.conf'; } | debugfs -w -f - many.img >/dev/null 2>&1
"$TENON" image extract many.img --kernel k6 >said || problem 'a kernel with many entries'
grep -q late said && problem 'an entry after 80 others was read'
debugfs -w -f - many.img >/dev/null 2>&1 < <(echo 'cd /boot/loader/entries'; seq -f 'rm e%g.conf' 50)
expect 0 'menu gives that kernel: root=LABEL=late' "$TENON" image extract many.img --kernel k6 --force
rm -r many many.img none.conf late.conf k6

# ---- Damage ----
damage() { cp --sparse=always disk.img bad.img; printf '\xff\xff' | dd of=bad.img bs=1 seek="$1" conv=notrunc status=none; }
damage $((512 + 40))
expect 0 'Problem: +the primary is damaged \(the checksum of its header is wrong\); this is the backup' $TENON image show bad.img
json "d['os'] == 'Some Linux 7'" $TENON image show bad.img --json
damage $(((200 << 20) - 512 + 40))
expect 0 'the backup is damaged' $TENON image show bad.img
damage $((1024 + 32))
expect 0 'the checksum of its list is wrong' $TENON image show bad.img
cp --sparse=always disk.img bad.img
sgdisk -c 2:other bad.img >/dev/null # both copies; then one of them as it was
dd if=disk.img of=bad.img bs=512 count=33 seek=1 skip=1 conv=notrunc status=none
expect 0 'primary and backup do not say the same' $TENON image show bad.img
cp --sparse=always disk.img bad.img
truncate -s 300M bad.img
expect 0 'the disk was shorter' $TENON image show bad.img
cp --sparse=always disk.img bad.img
truncate -s 100M bad.img
expect 0 'the disk was longer' $TENON image show bad.img

# ---- Other tables, and hostile contents ----
truncate -s 64M dos.img
printf '2048,16M,83,*\n,,5\n,8M,82\n,,83\n' | sfdisk -q dos.img || exit 1
mke2fs -q -F -t ext2 -E offset=$((1 << 20)) dos.img 16m || exit 1
json "d['partition_table'] == 'dos' and [p['number'] for p in d['parts']] == [1, 2, 5, 6] and d['parts'][0]['content'] == 'ext2'
	and d['parts'][2]['type'] == 'Linux swap'" $TENON image show dos.img --json
$TENON image show dos.img --json | python3 -c '
import json, subprocess, sys
ours, theirs = json.load(sys.stdin), json.loads(subprocess.check_output(["sfdisk", "-J", "dos.img"]))["partitiontable"]
for one, other in zip(ours["parts"], theirs["partitions"], strict=True):
    assert (one["start_bytes"], one["size_bytes"]) == (other["start"] * 512, other["size"] * 512), (one, other)
' || problem 'sfdisk says otherwise of the logical partitions'
rm -rf tree && mkdir -p tree/etc tree/boot
ln -s /../../../../../../../../../../etc/passwd tree/etc/os-release
ln -s hostname tree/etc/hostname
printf 'x' >"tree/boot/vmlinuz-$(printf '\033[31mred')"
mke2fs -q -F -t ext4 -L "$(printf 'a\033[2Jb')" -d tree hostile.img 16m || exit 1
expect 0 'ext4' $TENON image show hostile.img
json "d['os'] is None and d['hostname'] is None and d['kernel'] == '\x1b[31mred'" $TENON image show hostile.img --json
! $TENON image show hostile.img | grep -q "$(printf '\033')" || problem 'an escape sequence reached the terminal'
expect 0 'ext4' $TENON image list hostile.img ./none.img
expect 0 'none.img.*No such file' $TENON image list hostile.img ./none.img
expect 1 'none.img' $TENON image show none.img
# A superblock that promises more than there is.
cp hostile.img large.img
printf '\xff\xff\xff\x7f' | dd of=large.img bs=1 seek=1028 conv=notrunc status=none
expect 0 'larger than where it is|has .* bytes, and there are' $TENON image show large.img

# ---- A seed ----
truncate -s 1M seed.img
mkfs.fat -n CIDATA seed.img >/dev/null 2>&1
printf 'instance-id: i-7\nlocal-hostname: web7\n' >meta-data
mcopy -i seed.img meta-data ::
json "d['seed_instance'] == 'i-7' and d['hostname'] == 'web7'" $TENON image show seed.img --json

# ---- Volumes ----
truncate -s 400M pv.img
"$TENON" vg create vg0 pv.img && "$TENON" lv create vg0/web1 --size 200M && "$TENON" lv create vg0/empty --size 8M || exit 1
$TENON copy disk.img vg0/web1 || exit 1
json "[(r['name'], r['os']) for r in d] == [('vg0/web1', 'Some Linux 7'), ('vg0/empty', None)]" $TENON image list --json
json "[r['name'] for r in d] == ['$work/disk.img', 'vg0/web1', 'vg0/empty']" $TENON image list disk.img vg0 --json
launch serve.log $TENON serve --socket-dir sockets || problem "the server: $(cat serve.log)"
json "d['os'] == 'Some Linux 7' and d['hostname'] == 'web1'" $TENON image show vg0/web1 --json
expect 0 'Linux 6.1.0-10' $TENON image extract vg0/web1 --kernel k2 --initrd i2 --force
cmp k2 kernel && cmp i2 initrd || problem 'the kernel of a volume that is served'

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
