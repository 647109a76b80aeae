#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Damaged fields of superblocks, bitmaps and logs: what tenon says of them is what docs/raid-damage.md says, and whatever is refused is left as it
# was. Some of them, or all with TORTURE=1; tests/guest/raid_damage_test.sh asks mdadm and md.
set -u
. "$(dirname "$0")/lib.sh"
damage=$PWD/tests/interop/raid_damage.py document=$PWD/docs/raid-damage.md
tool=$(realpath "${BUILD:-build}/tests/helpers/raid_tool")
[ -x "$tool" ] || { echo "raid_tool is not built"; exit 77; }
step=13
[ -z "${TORTURE:-}" ] || step=1
cd "$work" || exit 1
mkdir base
python3 "$damage" make "$TENON" "$tool" "$work/base" || problem "the arrays cannot be made"
python3 "$damage" ours "$TENON" "$work/base" $step >said || problem "see above"
[ "$(wc -l <said)" -gt 20 ] || problem "only $(wc -l <said) were damaged"
python3 "$damage" compare "$document" said - || problem "the table says otherwise"
exit $((failures > 0))
