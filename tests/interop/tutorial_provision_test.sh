#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# docs/tutorial-provision.md, letter by letter, in one shell: each of its commands must succeed. In place of Debian, which takes
# minutes and a mirror, mmdebstrap gives a small system. What is made: three disks that sgdisk and e2fsck want so, and their seeds.
set -u
PATH=$PATH:/usr/sbin
for program in sgdisk mke2fs resize2fs mkfs.fat mcopy fakeroot qemu-img qemu-nbd openssl; do
	command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
. "$(dirname "$0")/lib.sh"
. tests/interop/small_debian.sh
page=$PWD/docs/tutorial-provision.md
cd "$work" || exit 1
small_debian || exit 1
mkdir tmp
export TMPDIR=$work/tmp
ln -s "$TENON" bin/tenon
awk '/^```/ { fenced = !fenced } /^    / && !fenced { print substr($0, 5) }' "$page" >commands
[ "$(grep -c tenon commands)" -ge 10 ] || problem "the tutorial's commands are not found"
{
	echo "trap 'echo \"FAILED: \$BASH_COMMAND\"; kill \$(jobs -p) 2>/dev/null; exit 1' ERR"
	echo 'set -m -o pipefail'
	# Before the end: what the test looks at.
	sed '/^kill %1/i cp --sparse=always pv.img ../kept.img' commands
} >script
timeout 800 env PATH="$work/bin:$PATH" bash script >out 2>&1 || problem "the tutorial ended with $?: $(cat out)"
grep -Eq '^vg0/web1 +4 GiB +gpt +2 .*Small 1 +6.1.0-10-amd64 +debian' out || problem "the list: $(cat out)"
grep -Eq '^vg0/db1-seed .*vfat .*db1' out || problem "the seed of db1: $(cat out)"
[ ! -e guests ] && [ -z "$(ls -A tmp)" ] || problem 'it left its files'
for name in web1 web2 db1; do
	expect 0 '' $TENON copy --device kept.img vg0/$name disk.img
	sgdisk -v disk.img | grep -q 'No problems found' || [ $name = web1 ] || problem "$name: $(sgdisk -v disk.img)"
	e2fsck -fn "disk.img?offset=$((257 << 20))" >fsck 2>&1 || problem "$name: $(cat fsck)"
	rm disk.img
	json "d['hostname'] == '$name' and d['seed_instance']" $TENON image show vg0/$name-seed --device kept.img --json
done

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
