#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Two runs of `make bench` side by side: compare.py [A B], files of build/bench or the beginnings of their names; without
them the two newest. What is ours is compared with what was ours, and the ratios to the peer with each other: figures of
different machines or loads tell little, ratios more.
"""
import json
import os
import sys

import results


def find(name, runs):
    if os.path.exists(name):
        return name
    found = [path for path in runs if os.path.basename(path).startswith(name) or "-%s." % name in path]
    if not found:
        sys.exit("%s: no run of that name in %s" % (name, results.FOLDER))
    return found[-1]


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
    except (OSError, ValueError) as why:
        sys.exit("%s: %s" % (path, why))
    if run.get("format") != 1:
        sys.exit("%s: format %s, expected 1" % (path, run.get("format")))
    return run


def describe(letter, path, run):
    machine = run["machine"]
    print("%s  %s  %s%s  %s, %d cores, Linux %s, load %.1f" %
          (letter, os.path.basename(path), run["date"], " (changed)" if run["dirty"] else "", machine["cpu"],
           machine["cores"], machine["kernel"], machine["load"][0]))
    for name, version in run["peers"].items():
        print("   %s: %s" % (name, version))


def quotient(new, old):
    return "%6.2f" % (new / old) if old else "     -"


def show(first, second):
    if not first and not second:
        return
    print("%-44s %11s %11s %6s %11s %11s %6s   %s" %
          ("", "A per s", "B per s", "B/A", "A per cpu s", "B per cpu s", "B/A", "to the peer, A and B"))
    for key in [key for key in first if key in second]:
        a, b = first[key], second[key]
        line = "%-44s" % " ".join(key)
        for what in "rate", "per_cpu":
            old, new = a["ours"][what], b["ours"][what]
            line += " %11.5g %11.5g %s" % (old, new, quotient(new, old))
        if a["ratio"] and b["ratio"]:
            line += "   %.2f %.2f, per cpu s %.2f %.2f" % (a["ratio"]["rate"], b["ratio"]["rate"], a["ratio"]["per_cpu"],
                                                          b["ratio"]["per_cpu"])
        print(line)
    for letter, these, those in ("A", first, second), ("B", second, first):
        missing = [" ".join(key) for key in these if key not in those]
        if missing:
            print("only in %s: %s" % (letter, "; ".join(missing)))


def show_counts(first, second):
    both = [case for case in first if case in second]
    if both:
        print("\ncounts of a request, A and B")
    for case in both:
        print("%-28s" % case + "".join("   %s %g %g" % (what.replace("_", " "), first[case][what], second[case][what])
                                       for what in first[case] if what in second[case]))


def show_figures(first, second):
    for suite in [suite for suite in first if suite in second]:
        print("\n%s, A and B" % suite)
        for case in [case for case in first[suite] if case in second[suite]]:
            a, b = first[suite][case], second[suite][case]
            print("%-44s" % case + ";".join("  %s %g %g" % (what, a[what], b[what]) for what in a if what in b))


def main():
    runs = []
    if os.path.isdir(results.FOLDER):
        runs = sorted(os.path.join(results.FOLDER, name) for name in os.listdir(results.FOLDER) if name.endswith(".json"))
    names = [name for name in sys.argv[1:] if name]
    if len(names) not in (0, 2):
        sys.exit("usage: compare.py [A B]")
    if not names and len(runs) < 2:
        sys.exit("%s has %d runs: make bench makes one" % (results.FOLDER, len(runs)))
    paths = [find(name, runs) for name in names] or runs[-2:]
    loaded = [load(path) for path in paths]
    for letter, path, one in zip("AB", paths, loaded):
        describe(letter, path, one)
    show(*({(case["suite"], case["case"]): case for case in one["cases"]} for one in loaded))
    show_counts(*(one.get("counts", {}) for one in loaded))
    show_figures(*(one.get("figures", {}) for one in loaded))


if __name__ == "__main__":
    main()
