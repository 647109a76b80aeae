#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a frame costs the switch from one vhost-user guest to another, in cycles, and in instructions (callgrind), which no other load
# of the machine changes. Where it is busy, `chrt -f 5 tests/bench/guest.sh` takes the others out of the cycles.
set -o pipefail
here=$(dirname "$0")
bench=$here/../../build/tests/bench/guest_bench
"$bench" | "$here/keep.py" guest
"$bench" cold | "$here/keep.py" guest
[ "$(nproc)" -lt 2 ] || "$bench" cores | "$here/keep.py" guest
"$bench" idle | "$here/keep.py" guest
command -v valgrind >/dev/null || exit 0
for case in 0 1 2 3 4 5; do
	valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=vswitch_round "$bench" count $case 300 2>&1 |
		awk '/: frames / { name = $0; sub(/:.*/, "", name); frames = $NF } /Collected/ { printf "%s, callgrind: instructions %.0f a frame\n", name, $NF / frames }'
done | "$here/keep.py" guest
