#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest's reads beside `lv move`, in virtual time.
set -euo pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/move_bench" | "$here/keep.py" move
