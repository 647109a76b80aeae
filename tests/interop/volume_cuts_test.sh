#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Every verb that changes metadata is tried by the laboratory (unit/lab/volume_ops_test); and of states that disks may have when the
# power goes within one, lvm2 says what we say: which groups there are, with which number, volumes and PVs. TORTURE=1 asks of many more.
set -eu
cd "$(dirname "$0")/../.." || exit 1
build=$(pwd)/${BUILD:-build}
TENON=${TENON:-$build/tenon}
images=$build/tests/helpers/lab_images
[ -x "$images" ] || { echo "$images is not built"; exit 77; }
work=$(mktemp -d)
# It may be ended in the middle of a state.
trap 'for image in "$work"/volume-*/*/*.img; do losetup -j "$image" | cut -d: -f1 | xargs -r losetup -d; done; rm -rf "$work"' EXIT
fail() { echo "failed: $*"; exit 1; }

# ---- Verbs: what is not an operation there looks only, or changes no metadata.
cat >"$work/known" <<-END
	pv list
	pv show
	pv check
	pv dump
	vg list
	vg show
	vg check
	vg archive
	vg backup
	lv list
	lv show
	lv scrub
	lv limit
END
"$images" verbs >>"$work/known"
for noun in pv vg lv; do
	"$TENON" --complete $noun '' | cut -f 1 | sed "s/^/$noun /"
done >"$work/verbs"
[ "$(wc -l <"$work/verbs")" -ge 43 ] || fail "the verbs are: $(cat "$work/verbs")"
missing=$(sort -u "$work/known" | comm -13 - <(sort "$work/verbs"))
[ -z "$missing" ] || fail "no operation of tools/lab/volume_ops.c does: $missing"

# ---- lvm2 of states in between.
for tool in lvm losetup python3; do command -v $tool >/dev/null || { echo "$tool is not installed: lvm2 is not asked"; exit 0; }; done
[ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1 || { echo "lvm2 wants root and loop devices: not asked"; exit 0; }
export TENON_RUNTIME_DIR=$work TENON_STATE_DIR=$work TENON_ARCHIVE=off LVM_SUPPRESS_FD_WARNINGS=1
every=$([ "${TORTURE:-}" = 1 ] && echo 5 || echo 199)
for scenario in volume-commits volume-groups volume-missing volume-arrays; do
	mkdir "$work/$scenario"
	"$images" "$scenario" "$work/$scenario" "$every" >"$work/said" || fail "$scenario: $(cat "$work/said")"
done
python3 tests/interop/volume_cuts.py "$TENON" "$work"/volume-*/*/ || fail "lvm2 says something else"
