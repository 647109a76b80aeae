#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# RAID1 rebuild over memory devices against memcpy.
set -o pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/raid_rebuild_bench" "${1:-256}" "${2:-5}" | "$here/keep.py" raid
