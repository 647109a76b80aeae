#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What deciding on a frame costs, by how many addresses there are (the best of 91 runs of 64,000 frames, which have the processor for
# themselves now and then); and what a capture in memory loses and costs.
set -o pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/switch_bench" | "$here/keep.py" switch
"$here/../../build/tests/bench/switch_bench" capture | "$here/keep.py" switch
