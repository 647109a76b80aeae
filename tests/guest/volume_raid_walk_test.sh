#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A random walk over RAID volumes, by us and by the real lvm2 with dm-raid in turn: made, filled, grown, converted, images replaced, disks lost and
# repaired. After each step both list and read the same, and dm-raid finds no difference. SEED=N STEPS=N repeat one; TORTURE=1: 200 steps.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
command -v python3 >/dev/null || rig_skip "there is no python3 here"
steps=12 deadline=1600
[ -z "${TORTURE:-}" ] || steps=200 deadline=6000
FILES=$(mktemp -d "$(place 400)/tenon-XXXXXX")
trap 'status=$?; rm -rf "$FILES"; set +e; (exit $status); rig_end' EXIT
disks=()
for i in 0 1 2 3 4 5 6 7; do truncate -s 40M "$FILES/g$i"; disks+=(--disk "$FILES/g$i:shared"); done # by turns
truncate -s 64M "$FILES/data"
rig_start_shell "$FILES" --name walk "${disks[@]}" --disk "$FILES/data" --with lvm2 --modules "raid0 raid1 raid10 raid456 dm-raid" \
	--memory 256M --deadline "${DEADLINE:-$deadline}"
python3 "$TOP/tests/guest/volume_raid_walk.py" "$TENON" "$FILES" "${SEED:-1}" "${STEPS:-$steps}" || rig_fail "see above; SEED=${SEED:-1} repeats it"
rig_wait walk
