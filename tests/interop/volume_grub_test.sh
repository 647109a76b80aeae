#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A third reader of LVM2: GRUB's own code finds our volumes, linear in pieces and striped, and reads the
# same data.
set -eu
cd "$(dirname "$0")/../.."
volume=$(pwd)/${BUILD:-build}/tests/helpers/volume
[ -x "$volume" ] || { echo "$volume is not built"; exit 77; }
command -v grub-fstest >/dev/null || { echo "grub-fstest is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "failed: $*"; exit 1; }

truncate -s 24M a.img b.img c.img
TENON_EXTENT=1048576 "$volume" create vg0 a.img b.img c.img
for i in 1 2 3; do "$volume" lvcreate vg0/t$i 5 a.img b.img c.img; done
"$volume" lvremove vg0/t2 a.img b.img c.img
"$volume" lvcreate vg0/st 6:3 a.img b.img c.img
"$volume" lvcreate vg0/big 45 a.img b.img c.img
for lv in t1 st big; do
	head -c 45M /dev/urandom | "$volume" lvwrite vg0/$lv a.img b.img c.img
	sectors=$("$volume" show a.img b.img c.img | sed -n "s/^lv $lv .*size=\([0-9]*\) .*/\1/p")
	sectors=$((sectors / 512))
	grub-fstest -c 3 "$work"/a.img "$work"/b.img "$work"/c.img \
		cp "(lvm/vg0-$lv)0+$sectors" "$work/$lv.grub" >said 2>&1 || fail "grub-fstest: $(cat said)"
	"$volume" lvread vg0/$lv a.img b.img c.img >$lv.ours
	[ "$(stat -c %s $lv.ours)" = $((sectors * 512)) ] || fail "$lv: size"
	cmp $lv.ours $lv.grub || fail "GRUB reads $lv differently"
done
exit 0
