#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a frame costs that waits on a bad link with 100,000 others, by the kind of delay.
set -o pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/link_bench" | "$here/keep.py" link
