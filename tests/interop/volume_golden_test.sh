#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Images that lvm2 and the kernel wrote: every volume read whole; then volumes are made, grown and removed
# on them, after which the old ones must still hold the same.
set -eu
cd "$(dirname "$0")/../.."
volume=$(pwd)/${BUILD:-build}/tests/helpers/volume
golden=$(pwd)/tests/golden
[ -x "$volume" ] || { echo "$volume is not built"; exit 77; }
for tool in python3 zstd; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $*"; exit 1; }

check_volumes() { # IMAGE
	grep "^$1 " "$golden/volumes.md5" | while read -r _ lv md5; do
		[ "$("$volume" lvread "vg0/$lv" "$work/$1"/*.img | md5sum)" = "$md5  -" ] ||
			fail "$1: $lv reads differently"
	done
}

for image in lvm_linear lvm_linear_frag; do
	mkdir "$work/$image"
	python3 "$golden/pack.py" unpack "$golden/$image.pack" "$work/$image"
	disks=("$work/$image"/*.img)
	check_volumes $image
	! "$volume" check "${disks[@]}" | grep -v '^0 ' || fail "$image: check found something"

	# As it is on disk, but for who wrote it and where the disks are.
	"$volume" metadata "${disks[0]}" | grep -v '^device\|^# Gen\|^creation_host = "[^"]*"	' >"$work/old"
	"$volume" text "${disks[@]}" | grep -v '^device\|^# Gen\|^creation_host = "[^"]*"	' >"$work/new"
	diff "$work/old" "$work/new" || fail "$image: the text would not be the same"

	"$volume" lvcreate vg0/new 30 "${disks[@]}"
	head -c 30M /dev/urandom >"$work/data"
	"$volume" lvresize vg0/new 31457280 "${disks[@]}"
	"$volume" lvwrite vg0/new "${disks[@]}" <"$work/data"
	"$volume" lvread vg0/new "${disks[@]}" | cmp - "$work/data" || fail "$image: the new volume"
	check_volumes $image
	"$volume" lvremove vg0/new "${disks[@]}"
	check_volumes $image
	"$volume" check "${disks[@]}" >/dev/null
done

# A disk is left out: what lies on the others can be read, the rest is refused with the PV's name.
set -- "$work"/lvm_linear_frag/d[12].img
md5=$("$volume" lvread vg0/big "$@" | md5sum)
[ "$md5" = "19132b8ef80f87610040b0fc3c167d77  -" ] || fail "big without d0"
"$volume" lvread vg0/t4 "$@" >/dev/null 2>"$work/said" && fail "t4 without d0 was read"
grep -q 'PV teYCEr-c97o-YeQw-FRfT-ySpZ-OQlO-t0tRG3 is missing' "$work/said" || fail "$(cat "$work/said")"
"$volume" lvcreate vg0/n 1 "$@" 2>/dev/null && fail "a partial group has a new volume"
"$volume" lvremove vg0/big "$@" || fail "a partial group keeps a volume that is not wanted"
"$volume" lvread vg0/big "$@" >/dev/null 2>&1 && fail "big is there yet"
exit 0
