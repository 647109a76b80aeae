#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Parity against raw ISA-L, and levels 5 and 6 over memory devices against memcpy.
set -o pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/parity_bench" "${1:-5}" | "$here/keep.py" parity
