#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Judges what tenon's links draw by the formulas of docs/links.md, computed here: what netem has no counterpart for (loss of a
list, the distribution pareto), and the other shapes of jitter.

link_formula.py TOOL: build/tests/helpers/link_netem, whose `draw` writes "NUMBER DELAY_NS TIME_NS" of each packet that arrives.

Each test of a sample is at a level of 1e-5, and the draws are from fixed seeds, so what passes once passes always; with another shape, mean or
deviation the same test must fail, or it says nothing.
"""
import bisect
import math
import subprocess
import sys

COUNT = 200_000
LEVEL = 1e-5
Z_ONE, Z_TWO = 4.2649, 4.4172  # the normal distribution's, of one and of both sides, for that level
TOOL = sys.argv[1]
failed = 0


def check(good, what):
    global failed
    print(("ok: " if good else "FAILED: ") + what)
    failed += not good


def draw(name, count, *words):
    text = subprocess.run([TOOL, "draw", f"{name}:{count}:100", *words], check=True, capture_output=True, text=True).stdout
    return [tuple(map(int, line.split())) for line in text.splitlines()]


# ---- Loss of a list: no chance in it ----

def listed(text):
    """The packets of 3,7-9, counted from 1."""
    for each in text.split(","):
        first, _, last = each.partition("-")
        yield int(first), int(last or first)


def check_lists():
    many = ",".join(f"{7 * i + 1}-{7 * i + i % 5 + 1}" for i in range(32))
    for text in ("1", "3,7-9", "1000", "1-1000", "5-10,8-12,8", "9,3,3", "999-1001", "1-2,999-18446744073709551615", many):
        arrived = {number for number, _, _ in draw("l", 1000, f"loss=list,{text}", "seed=5")}
        expected = {n - 1 for n in range(1, 1001) if not any(a <= n <= b for a, b in listed(text))}
        check(arrived == expected, f"loss=list,{text[:40]}: {1000 - len(arrived)} lost")


# ---- Jitter: distributions of x in D + J * x, at least 0 ----

def pareto(shape):
    """Pareto's, of scale 1, brought to mean 0 and deviation 1."""
    mean = shape / (shape - 1)
    deviation = math.sqrt(shape / (shape - 2)) / (shape - 1)
    return lambda x: 1 - max(1.0, mean + deviation * x) ** -shape


def normal(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def uniform(x):
    return min(max((x + 1) / 2, 0.0), 1.0)


def kolmogorov(delays, cdf):
    """Whether the greatest distance is one that chance makes; of delays, in order, none below 0, where all that would be lie."""
    n = len(delays)
    distance, at = 0.0, 0
    while at < n:
        last = at
        while last + 1 < n and delays[last + 1] == delays[at]:
            last += 1
        # To the nanosecond: what is as long lies within half of one.
        below = 0 if delays[at] == 0 else cdf(delays[at] - 0.5)
        distance = max(distance, abs(cdf(delays[at] + 0.5) - (last + 1) / n), abs(below - at / n))
        at = last + 1
    return distance <= math.sqrt(-math.log(LEVEL / 2) / 2 / n), distance


def chi_square(delays, cdf):
    """Cells by probability, fine where delays are seldom and long: which a distance does not see."""
    edges = [i / 20 for i in range(1, 20)] + [0.98, 0.99, 0.995, 0.998, 0.999, 0.9995]
    counts = [0] * (len(edges) + 1)
    for delay in delays:
        counts[bisect.bisect_left(edges, cdf(delay))] += 1
    bounds = [0, *edges, 1]
    expected = [(b - a) * len(delays) for a, b in zip(bounds, bounds[1:])]
    value = sum((found - e) ** 2 / e for found, e in zip(counts, expected))
    freedom = len(expected) - 1
    most = freedom * (1 - 2 / (9 * freedom) + Z_ONE * math.sqrt(2 / (9 * freedom))) ** 3  # Wilson and Hilferty
    return value <= most, value


def independence(rows):
    """Whether each is as the one before it by chance only: the correlation of ranks."""
    n = len(rows)
    ranks = [0] * n
    for rank, (number, _, _) in enumerate(sorted(rows, key=lambda row: row[1])):
        ranks[number] = rank - (n - 1) / 2
    correlation = sum(a * b for a, b in zip(ranks, ranks[1:])) / sum(a * a for a in ranks)
    return abs(correlation) * math.sqrt(n) <= Z_TWO, correlation


def check_shape(name, delay_ms, jitter_ms, word, cdf, wrong):
    rows = draw(name, COUNT, f"delay={delay_ms}ms", f"jitter={jitter_ms}ms{word}", "seed=11")
    delays = sorted(delay for _, delay, _ in rows)
    what = f"delay={delay_ms}ms jitter={jitter_ms}ms{word}"
    of = lambda shape, by=1.0, off=0.0: lambda ns: shape((ns / 1e6 - delay_ms - off * jitter_ms) / (jitter_ms * by))
    good, distance = kolmogorov(delays, of(cdf))
    check(len(rows) == COUNT and good, f"{what}: Kolmogorov-Smirnov, {COUNT} packets: {distance:.5f}")
    if delays[0] > 0:  # else many are equal, for the ranks and in a cell
        good, correlation = independence(rows)
        check(good, f"{what}: correlation with the one before: {correlation:.5f}")
        good, value = chi_square(delays, of(cdf))
        check(good, f"{what}: chi-square: {value:.1f}")
        for shape in wrong:
            check(not chi_square(delays, of(shape))[0], f"{what}: is told from another shape by chi-square")
    for other, why in ((of(cdf, 1.03), "3 % more jitter"), (of(cdf, 1, 0.02), "a mean that is 2 % of the jitter off")):
        check(not kolmogorov(delays, other)[0], f"{what}: is told from {why}")
    for shape in wrong:
        check(not kolmogorov(delays, of(shape))[0], f"{what}: is told from another shape")


check_lists()
for port in "abc":
    check_shape(port, 100, 10, ",pareto", pareto(3), [pareto(2.8), pareto(3.2), normal])
check_shape("a", 4, 10, ",pareto", pareto(3), [pareto(2.8), normal])
check_shape("a", 100, 10, ",normal", normal, [pareto(3), uniform])
check_shape("a", 100, 10, "", uniform, [normal])
check_shape("a", 2, 10, "", uniform, [normal])
print(f"{failed} failed")
sys.exit(failed != 0)
