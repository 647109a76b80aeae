#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Check and repair of arrays of random levels and shapes, with sectors that members cannot read, that their logs name, and that are silently wrong,
# side by side: nothing right becomes wrong, and what the rest tells is repaired (raid_repair.py). TORTURE=1: 300 arrays; FIRST=N LAST=N others.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
cd "$work" || exit 1
export TENON_DEVICES=
last=20
[ -z "${TORTURE:-}" ] || last=300
python3 "$here/raid_repair.py" "$TENON" "${FIRST:-1}" "${LAST:-$last}"
