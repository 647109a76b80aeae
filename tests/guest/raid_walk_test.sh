#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A random walk over arrays, by us and by the real md in turn: after each step both read the same, whole and without members, say the same of
# size and members, and either carries on what the other left. TORTURE=1: many episodes, md takes steps, too; SEED=N FIRST=N EPISODES=N STEPS=N repeat some.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=${RAID_TOOL:-$TOP/build/tests/helpers/raid_tool}
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
command -v python3 >/dev/null || rig_skip "there is no python3 here"
episodes=2 steps=3 deadline=1600
# The short form has md make, fill and read, and us take all steps: how far a rebuild of md's came when it is held is a matter of time.
export WHO=${WHO-us}
[ "${TORTURE:-0}" = 0 ] || { episodes=200 steps=10 deadline=14000; WHO=; }
FILES=$(mktemp -d "$(place 400)/tenon-XXXXXX")
trap 'status=$?; rm -rf "$FILES"; set +e; (exit $status); rig_end' EXIT
disks=()
for i in 0 1 2 3 4 5 6 7 8; do truncate -s $((6144 + i % 3 * 196))K "$FILES/g$i"; disks+=(--disk "$FILES/g$i"); done
truncate -s 128M "$FILES/data"
walk() {
	rig_start_shell "$FILES" --name walk "${disks[@]}" --disk "$FILES/data" --with mdadm --modules "raid0 raid1 raid10 raid456 linear?" \
		--memory 512M --deadline "${DEADLINE:-$deadline}"
	python3 "$TOP/tests/guest/raid_walk.py" "$TOOL" "$FILES" "${SEED:-3}" "${EPISODES:-$episodes}" "${STEPS:-$steps}"
}
# A guest that does not answer any more is given up for a new one: what it had not played is played, too.
while walk && status=0 || { status=$?; [ $status = 3 ]; }; do
	[ $status = 3 ] || break
	rig_stop walk
done
[ $status = 0 ] || rig_fail "see above; SEED=${SEED:-3} repeats it"
rig_wait walk
