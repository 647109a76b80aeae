#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What ports that flood cost a neighbour that sends a million frames a second: how many arrive, and how long they are on their way.
set -o pipefail
here=$(dirname "$0")
"$here/../../build/tests/bench/fair_bench" | "$here/keep.py" fair
