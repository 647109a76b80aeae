#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Puts defects into copies of our arrays, and looks whether the laboratory finds them.

	try.py --build DIR --flags FLAGS --libs LIBS [--update] [NAME...]

A defect is a file NAME.mutation beside this one: what it is, how it is looked for (`explore SCENARIO`, or `run SCENARIO SEEDS`), in which
state or with which seed it was found last, and pieces of sources with what they become. A piece that is not there exactly once is an
error: the source has changed, and the defect has to be thought over. Without a defect nothing may be found: that is tried first.
"""
import argparse
import concurrent.futures
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 300  # seconds, for each: a generous one


class Mutation:
    def __init__(self, name):
        self.name = name
        self.path = os.path.join(HERE, name + ".mutation")
        self.edits = []
        with open(self.path, encoding="utf-8") as file:
            head, *pieces = file.read().split("\n=== ")
        self.said = dict(line.split(": ", 1) for line in head.splitlines())
        for piece in pieces:
            if piece.strip() == "end":
                break
            source, rest = piece.split("\n", 1)
            old, new = (rest + "\n").split("--- to\n", 1)
            self.edits.append((source, self.text(old), self.text(new)))

    @staticmethod
    def text(lines):
        """A line that ends with a backslash goes on where the piece ends."""
        return lines[:-2] if lines.endswith("\\\n") else lines

    def how(self):
        words = self.said["try"].split()
        scenario = os.path.join(HERE, words[1] + ".yaml")
        if os.path.exists(scenario):
            words[1] = scenario
        return words

    def apply(self, folder):
        """Changed copies of the sources, as files in `folder`; their names."""
        texts = {}
        for source, old, new in self.edits:
            if source not in texts:
                with open(source, encoding="utf-8") as file:
                    texts[source] = file.read()
            if texts[source].count(old) != 1:
                raise ValueError(f"{self.name}: {source} has it {texts[source].count(old)} times, expected once:\n{old}")
            texts[source] = texts[source].replace(old, new)
        for source, text in texts.items():
            path = os.path.join(folder, source.replace("/", "-"))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            yield path

    def keep(self, found):
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text.replace(f"\nfound: {self.said['found']}\n", f"\nfound: {found}\n", 1))


def find(program, how):
    """(N, what) of what was found; N is 0 where nothing was."""
    try:
        done = subprocess.run([program, *how], capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return 0, f"no answer for {LIMIT} s"
    if done.returncode:
        return 0, f"it ends with {done.returncode}: {done.stderr.strip()[:300]}"
    word, rest = done.stdout.strip().split(" ", 1)
    if word != "found":
        return 0, done.stdout.strip()
    number, what = rest.split(": ", 1)
    return int(number), what


def try_one(options, mutation):
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for source in mutation.apply(folder):
            objects.append(source[:-2] + ".o")
            subprocess.run(
                [*options.flags, "-Wno-error", "-w", "-O1", "-g0", "-c", "-o", objects[-1], source], check=True, timeout=LIMIT
            )
        program = os.path.join(folder, "lab_find")
        helper = os.path.join(options.build, "tests/helpers/lab_find.o")
        library = os.path.join(options.build, "libtenon.a")
        subprocess.run([*options.flags, "-o", program, helper, *objects, library, *options.libs], check=True, timeout=LIMIT)
        return find(program, mutation.how())


def judge(options, mutation):
    """Whether it is as it should be, and a line about it."""
    try:
        number, what = try_one(options, mutation)
    except (ValueError, subprocess.SubprocessError) as error:
        return False, f"{mutation.name}: {error}"
    last = int(mutation.said["found"])
    line = f"{mutation.name}: {mutation.said['try']}: {number}: {what[:140]}"
    if options.update and number:
        mutation.keep(number)
        return True, line
    if not number:
        return False, f"{mutation.name}: not found ({mutation.said['what']}): {what}"
    # What others change moves it a little; much later it is found by chance only.
    if number > 2 * last + 100:
        return False, f"{line}; it was found at {last}"
    return True, line


def stale(names):
    """How many do not apply any more."""
    wrong = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                list(Mutation(name).apply(folder))
            except (OSError, ValueError) as error:
                print(f"FAILED it does not apply any more: {error}")
                wrong += 1
    print(f"{len(names) - wrong} of {len(names)} defects apply")
    return wrong


def control(options, mutations):
    """Without a defect nothing is found."""
    program = os.path.join(options.build, "tests/helpers/lab_find")
    ways = sorted({tuple(mutation.how()) for mutation in mutations})
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for way, (number, what) in zip(ways, pool.map(lambda way: find(program, way), ways)):
            name = os.path.basename(way[1])
            if number or not what.startswith("none of"):
                print(f"FAILED without a defect: {way[0]} {name}: {number}: {what}")
                wrong += 1
            else:
                print(f"without a defect: {way[0]} {name}: {what}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--flags", required=True, type=shlex.split)
    parser.add_argument("--libs", required=True, type=shlex.split)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    every = sorted(name[:-9] for name in os.listdir(HERE) if name.endswith(".mutation"))
    wrong = stale(every)
    mutations = [Mutation(name) for name in options.names or every]
    wrong += control(options, mutations)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for fine, line in pool.map(lambda one: judge(options, one), mutations):
            print(("" if fine else "FAILED ") + line, flush=True)
            wrong += not fine
    print(f"{len(mutations)} defects, {wrong} problems")
    return wrong != 0


if __name__ == "__main__":
    if not shutil.which("cc") and not shutil.which("gcc"):
        sys.exit(77)
    sys.exit(main())
