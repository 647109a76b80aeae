#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# How long frames are on their way from one vhost-user guest to another at 10, 50 and 90 % of what can be sent, and the first after a
# pause; what it costs to do nothing. Medians of ROUNDS (9) runs, and the least of each figure: any other work of the machine is in them.
set -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ "$(nproc)" -ge 2 ] || { echo "latency bench: two processors are needed"; exit 0; }
for _ in $(seq "${ROUNDS:-9}"); do "$here/../../build/tests/bench/guest_bench" latency; done | python3 -c '
import collections, re, statistics, sys
runs = collections.defaultdict(list)
for line in sys.stdin:
    case, figures = line.rstrip("\n").split(": ", 1)
    runs[case].append(re.split(r"(?<![\w.])(\d+\.\d+)", figures))
for name, choose in ("", statistics.median), (", least", min):
    for case, of_runs in runs.items():
        print(case + name + ": " + "".join(
            "%.5g" % choose([float(run[at]) for run in of_runs]) if at % 2 else text for at, text in enumerate(of_runs[0])))
' | "$here/keep.py" latency
