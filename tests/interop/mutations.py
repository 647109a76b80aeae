#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Damages images at each of their structures, and runs commands that read them.

usage: mutations.py TENON DIRECTORY COUNT SEED
DIRECTORY holds a.img and b.img, an array "r", and p.img, a group "vg" with a volume "x". Whatever is
damaged, a command ends by itself within seconds with exit status 0 or 1; with 1 it says why, in words that
name an object; what it prints as JSON is JSON; and no image has changed."""
import hashlib, json, os, random, re, subprocess, sys

tenon, directory, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.chdir(directory)
rng = random.Random(seed)
failures = 0

# (image, from, to): superblock, roles, bitmap and its first bits; label, header and text of a metadata area.
PLACES = [("a.img", 4096, 4352), ("a.img", 4352, 4400), ("a.img", 8192, 8448), ("a.img", 8448, 8456),
          ("p.img", 512, 640), ("p.img", 4096, 4224), ("p.img", 4608, 9216)]
VALUES = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff" * 4, b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\0" * 512, b"{", b'"', b"\n"]


def run(*words):
    return subprocess.run([tenon, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


def digest(names):
    return [hashlib.md5(open(name, "rb").read(65536)).digest() + str(os.stat(name).st_mtime_ns).encode() for name in names]


def problem(mutation, words, text):
    global failures
    failures += 1
    print(f"FAILED after {mutation}: tenon {' '.join(words)}: {text}")


def sum_superblock(data):
    """Makes the checksum of an md superblock right, so that what lies behind it is reached."""
    size = 256 + 2 * min(int.from_bytes(data[4096 + 220:4096 + 224], "little"), 1920)
    words = data[4096:4096 + size]
    total = sum(int.from_bytes(words[i:i + 4], "little") for i in range(0, size, 4)) - int.from_bytes(words[216:220], "little")
    data[4096 + 216:4096 + 220] = ((total & 0xffffffff) + (total >> 32)).to_bytes(8, "little")[:4]


def crc(data, at, start, size):
    value = 0xf597a6cf
    for byte in data[start:start + size]:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xedb88320 if value & 1 else 0)
    data[at:at + 4] = value.to_bytes(4, "little")


def mutate():
    image, start, end = rng.choice(PLACES)
    data = bytearray(open(image, "rb").read(1 << 20))
    what = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, value = rng.randrange(start, end), rng.choice(VALUES)
        data[at:at + len(value)] = value
        what.append(f"{at}={value[:8].hex()}x{len(value)}")
    fixed = rng.random() < 0.6
    if fixed and image == "a.img" and start < 8192:
        sum_superblock(data)
    if fixed and image == "p.img":
        location = 4096 + 40
        offset, size = (int.from_bytes(data[location + i:location + i + 8], "little") for i in (0, 8))
        if start == 4608 and 4096 + offset + size <= len(data):
            crc(data, location + 16, 4096 + offset, size)
        crc(data, 4096, 4100, 508)
        crc(data, 512 + 16, 512 + 20, 492)
    target = "mutated.img"
    subprocess.run(["cp", "--sparse=always", image, target], check=True)
    with open(target, "r+b") as file:
        file.write(data)
    return image, f"{image} {' '.join(what)}{' and its checksums made right' if fixed else ''}"


def check(mutation, words):
    names = ["mutated.img", "b.img"]
    before = digest(names)
    try:
        done = run(*words)
    except subprocess.TimeoutExpired:
        return problem(mutation, words, "hangs")
    said = done.stderr.decode(errors="replace")
    if done.returncode not in (0, 1) or "Sanitizer" in said or "runtime error" in said:
        problem(mutation, words, f"ended with {done.returncode}: {said}")
    # An object, and more than the name of an errno.
    if done.returncode == 1 and not re.search(r"tenon: \S.{12,}", said):
        problem(mutation, words, f"failed, and said only: {said!r}")
    if "--json" in words and (done.stdout.strip() or not done.returncode):
        try:
            json.loads(done.stdout)
        except ValueError as error:
            problem(mutation, words, f"no JSON: {error}")
    if digest(names) != before:
        problem(mutation, words, "changed an image")


for _ in range(count):
    image, mutation = mutate()
    if image == "a.img":
        both = ("--device", "mutated.img", "--device", "b.img")
        commands = [("raid", "examine", "mutated.img", "--json"), ("raid", "list", "--json") + both,
                    ("copy", "--device", "mutated.img", "md/r", "/dev/null"),
                    ("raid", "show", "r", "--json") + both]
    else:
        only = ("--device", "mutated.img")
        commands = [("pv", "check", "mutated.img", "--json"), ("pv", "show", "mutated.img", "--json"),
                    ("lv", "list", "--json") + only, ("vg", "show", "vg", "--json") + only,
                    ("copy", "vg/x", "/dev/null") + only]
    for words in commands:
        check(mutation, words)
print(f"{count} mutations, {failures} failures")
sys.exit(failures > 0)
