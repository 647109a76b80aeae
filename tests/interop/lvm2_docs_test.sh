#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The tables for those who come from LVM2 name commands and options that there are.
set -eu
cd "$(dirname "$0")/../.."
tenon=${TENON:-$PWD/${BUILD:-build}/tenon}
python3 - "$tenon" docs/for-lvm2-users.md docs/lvm2.md <<'PY'
import functools, re, subprocess, sys

tenon, checked, wrong = sys.argv[1], 0, []
NOUNS = ("pv", "vg", "lv")


@functools.cache
def help_of(*words):
    run = subprocess.run([tenon, *words, "--help"], capture_output=True, text=True)
    return run.stdout if not run.returncode else ""


def has(text, option):
    return re.search(r"(^|[\s\[|])%s\b" % re.escape(option), text) is not None


for path in sys.argv[2:]:
    for number, line in enumerate(open(path), 1):
        cells = re.split(r"(?<!\\) \| ", line.strip("| \n"))
        if not line.startswith("| `") or len(cells) < 2:
            continue
        command = None
        for span in re.findall(r"`([^`]+)`", cells[-1]):
            words = span.split()
            words = words[1:] if words[0] == "tenon" else words
            if len(words) > 1 and words[0] in NOUNS and re.fullmatch("[a-z]+", words[1]):
                command = words[:2]
            elif words[0].isalpha() and command and help_of(command[0], words[0]):
                command = [command[0], words[0]]
            elif not words[0].startswith("-"):
                continue
            if not command:
                continue
            text = help_of(*command)
            checked += 1
            if not text:
                wrong.append(f"{path}:{number}: tenon {' '.join(command)} is no command")
            for word in words:
                if re.fullmatch("--?[a-z][a-z-]*", word) and text and not has(text, word):
                    wrong.append(f"{path}:{number}: tenon {' '.join(command)} has no {word}")
print(*wrong, sep="\n")
print(checked, "looked at")
sys.exit(bool(wrong) or checked < 60)
PY
