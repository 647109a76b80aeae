#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Passes standard input on, and puts its figures into the run's file of results: keep.py SUITE.

A line is "CASE: figures"; of "P, 3 disks: 140.8 GB/s, ISA-L 151.8 GB/s; p50 61 p99 112" these are
{"GB/s": 140.8, "ISA-L GB/s": 151.8, "p50": 61, "p99": 112}. Lines without figures are passed on only.
"""
import re
import sys

import results

NUMBER = re.compile(r"-?\d+(\.\d+)?$")


def figures_of(field):
    """(name, value) of a field: "ISA-L 151.8 GB/s", or several pairs, "p50 61 p99 112"."""
    words, values = [], []
    for word in field.split():
        if NUMBER.match(word):
            values.append([" ".join(words), float(word)])
            words = []
        else:
            words.append(word)
    if len(values) == 1:
        values[0][0] = " ".join(part for part in (values[0][0], " ".join(words)) if part)
    return values


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: keep.py SUITE")
    out = None
    for line in sys.stdin:
        print(line, end="", flush=True)
        case, colon, rest = line.partition(": ")
        figures = {name: value for field in re.split(r"[,;()]|: ", rest) for name, value in figures_of(field) if name}
        if colon and figures:
            out = out or results.Results()
            out.figures(sys.argv[1], " ".join(case.split()), figures)


if __name__ == "__main__":
    main()
