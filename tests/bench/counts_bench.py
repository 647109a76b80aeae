#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Counts of a 4 KiB request, which no other load of the machine changes: fiber switches, calls of the ring, requests given
to it, and instructions in user space (callgrind on the libaio engine; the difference of two runs, so that what surrounds
the requests does not count).

    counts_bench.py [FOLDER]    where the images go; build
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import results

BENCH = os.path.join(results.ROOT, "build/tests/bench/request_counts_bench")
KINDS = "file", "linear", "mirror", "queue-null", "queue-file", "queue-mirror"


def instructions(arguments, requests):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", BENCH, *arguments,
                           str(requests)], capture_output=True, text=True, check=True,
                          env=dict(os.environ, TENON_ENGINE="aio"))
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def count(kind, mode, depth, folder):
    arguments = [kind, mode, str(depth), folder]
    words = subprocess.run([BENCH, *arguments, "3200"], capture_output=True, text=True, check=True).stdout.split()
    counts = dict(zip(words[::2], map(float, words[1::2])))
    if shutil.which("valgrind"):
        counts["instructions"] = round((instructions(arguments, 1920) - instructions(arguments, 640)) / 1280)
    return counts


def main():
    out = results.Results()
    place = sys.argv[1] if len(sys.argv) > 1 else os.path.join(results.ROOT, "build")
    print("%-28s %15s %11s %14s %13s" % ("", "fiber switches", "ring calls", "ring requests", "instructions"))
    with tempfile.TemporaryDirectory(dir=place) as folder:
        for kind in KINDS:
            for mode in "write", "read":
                for depth in 1, 32:
                    case, counts = "%s %s depth %d" % (kind, mode, depth), count(kind, mode, depth, folder)
                    out.count(case, counts)
                    print("%-28s %15.3f %11.3f %14.3f %13s" %
                          (case, counts["fiber_switches"], counts["ring_calls"], counts["ring_requests"],
                           counts.get("instructions", "-")), flush=True)
    print(out.path)


if __name__ == "__main__":
    main()
