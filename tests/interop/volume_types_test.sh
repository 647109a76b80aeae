#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Volumes of the types that only lvm2 operates (snapshots, thin, cache, writecache, integrity, vdo, zero, error, and one of the future): names of
# types and attributes are lvm2's, and changes of ours leave them to the letter. volume_types.py.
set -u
. "$(dirname "$0")/lib.sh"
for tool in python3 lvm losetup; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "lvm2 wants root"; exit 77; }
losetup -f >/dev/null 2>&1 || { echo "there are no loop devices here"; exit 77; }
folder=$(realpath "$(dirname "$0")")
cd "$work" || exit 1
export LVM_SUPPRESS_FD_WARNINGS=1 LC_ALL=C
python3 "$folder/volume_types.py" "$TENON" || problem "types differ"
[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
