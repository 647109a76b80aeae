#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Draws what tests/guest/link_netem_test.sh measured: distributions of netem's and our samples, as an SVG.

link_plot.py delay|runs TITLE NETEM OURS >PICTURE: files as link_netem writes them ("NUMBER DELAY_NS TIME_NS" a line). delay: how
large a share of the packets came within a time. runs: how many runs of lost packets are of each length.
"""
import sys

WIDTH, HEIGHT, LEFT, BOTTOM = 480, 240, 50, 40
COLORS = ("#c06000", "#0060a0")


def read(path):
    return [tuple(map(int, line.split())) for line in open(path, encoding="ascii")]


def delays(rows):
    values = sorted(delay / 1e9 for _, delay, _ in rows)
    step = max(1, len(values) // 100)
    return [(values[i], (i + 1) / len(values)) for i in range(0, len(values), step)] + [(values[-1], 1)]


def runs(rows):
    numbers = sorted({number for number, _, _ in rows})
    lengths = [b - a - 1 for a, b in zip([-1] + numbers, numbers) if b - a > 1]
    return [(n, lengths.count(n) + (sum(m > 12 for m in lengths) if n == 12 else 0)) for n in range(1, 13)]


def main():
    kind, title = sys.argv[1:3]
    lines = [{"delay": delays, "runs": runs}[kind](read(path)) for path in sys.argv[3:5]]
    points = lines[0] + lines[1]
    least, most, top = min(x for x, _ in points), max(x for x, _ in points), max(y for _, y in points)

    def place(x, y):
        return (f"{LEFT + (x - least) / (most - least) * (WIDTH - LEFT - 20):.1f},"
                f"{HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - 30):.1f}")

    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">')
    print(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    print(f'<text x="{LEFT}" y="18">{title}</text>')
    axis = (place(least, top), place(least, 0), place(most, 0))
    print(f'<polyline points="{" ".join(axis)}" fill="none" stroke="#444"/>')
    for i in range(5):
        x, y = least + (most - least) * i / 4, top * i / 4
        at = place(x, 0).split(",")
        print(f'<text x="{at[0]}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.3g}</text>')
        print(f'<text x="{LEFT - 6}" y="{float(place(least, y).split(",")[1]) + 4}" text-anchor="end">{y:.3g}</text>')
    name = {"delay": "delay, s; share of packets that came within it",
            "runs": "packets lost in a row (12: or more); how often"}[kind]
    print(f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">{name}</text>')
    for i, (label, color, line) in enumerate(zip(("netem", "tenon"), COLORS, lines)):
        path = " ".join(place(x, y) for x, y in line)
        dash = ' stroke-dasharray="6 4"' if i else ""
        print(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        print(f'<text x="{WIDTH - 120 + 60 * i}" y="18" fill="{color}">{label}</text>')
    print("</svg>")


main()
