#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The rebuild laboratory: states explored, a rebuild of 6 x 18 TB in virtual time, many seeds of a ten-minute scenario.
set -o pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/lab_bench" "${1:-1000}" | "$here/keep.py" lab
