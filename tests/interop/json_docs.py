#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds docs/json.md against what verbs print.

json_docs.py PAGE LIST: each line of LIST is "VERB<tab>FILE", a file that holds what the verb printed. Every key must be
documented, every documented key there, every type right; every verb and every kind of object of the page must have
been seen. The page itself: one name has one type, sizes and only they end in _bytes.
"""
import json
import re
import sys

PLAIN = {"text": str, "integer": int, "number": float, "boolean": bool}


def read_page(path):
    kinds, verbs, includes, free, kind = {}, {}, {}, {}, None
    for line in open(path, encoding="utf-8"):
        if line.startswith("#"):
            kind = line[4:].strip() if line.startswith("### ") else None
            if kind:
                kinds[kind], includes[kind] = {}, []
        row = re.match(r"\| `([^`]+)` \| ([^|]+) \|", line)
        if row and kind:
            kinds[kind][row[1]] = row[2].strip()
        elif row:
            verbs[row[1]] = row[2].strip()
        elif kind and re.match(r"(?i)all of ", line):
            includes[kind] += re.findall(r"(?i)all of (\w+)|and (\w+)\.", line.split(". ")[0] + ".")
        elif kind and line.startswith("An integer for each"):
            free[kind] = "integer"
    for kind, others in includes.items():
        for pair in others:
            for other in pair:
                if other:
                    kinds[kind] = {**kinds[other], **kinds[kind]}
    return kinds, verbs, free


class Judge:
    def __init__(self, kinds, free):
        self.kinds, self.free = kinds, free
        self.faults, self.seen, self.told = [], set(), set()

    def fault(self, text):
        if text not in self.faults:
            self.faults.append(text)

    def value(self, where, value, said):
        base = said
        if base.endswith(" or null"):
            if value is None:
                return
            base = base[: -len(" or null")]
        if base.startswith("list of "):
            if not isinstance(value, list):
                self.fault(f"{where}: is {value!r}, the page says {said}")
                return
            for one in value:
                self.value(where + "[]", one, base[len("list of "):])
        elif base in PLAIN:
            right = type(value) is PLAIN[base] or (base == "number" and type(value) is int)
            if not right:
                self.fault(f"{where}: is {value!r}, the page says {said}")
        else:
            self.object(where, value, [base])

    def object(self, where, value, names):
        if not isinstance(value, dict):
            self.fault(f"{where}: is {value!r}, the page says {names}")
            return
        self.seen.update(names)
        if names[0] in self.free:
            for key, one in value.items():
                self.value(f"{where}.{key}", one, self.free[names[0]])
            return
        known = {}
        for name in names:
            known.update(self.kinds[name])
        for key, one in value.items():
            if key not in known:
                self.fault(f"{where}.{key}: is not in the page ({', '.join(names)})")
                continue
            if one is not None:
                self.told.update((name, key) for name in names)
            self.value(f"{where}.{key}", one, known[key])
        for key in known:
            if key not in value:
                self.fault(f"{where}: has no '{key}', which the page has ({', '.join(names)})")


def judge_page(judge, kinds):
    types = {}
    for kind, keys in kinds.items():
        for key, said in keys.items():
            base = said.replace(" or null", "")
            known = types.setdefault(key, (base, kind))
            if known[0] != base:
                judge.fault(f"'{key}' is {known[0]} in {known[1]}, and {base} in {kind}")
            if key.endswith("_bytes") and base != "integer":
                judge.fault(f"{kind}.{key}: a size is an integer")
            if re.search(r"(^|_)(size|length|offset)$", key):
                judge.fault(f"{kind}.{key}: a size ends in _bytes")


def main():
    kinds, verbs, free = read_page(sys.argv[1])
    judge = Judge(kinds, free)
    judge_page(judge, kinds)
    printed = set()
    for line in open(sys.argv[2], encoding="utf-8"):
        verb, path = line.rstrip("\n").split("\t")
        try:
            value = json.load(open(path, encoding="utf-8"))
        except ValueError as error:
            judge.fault(f"{verb}: {error}")
            continue
        printed.add(verb)
        said = verbs[verb]
        names = said.replace("list of ", "").split(", one a line")[0].split(", ")
        if said.startswith("list of "):
            for one in value:
                judge.object(verb, one, names)
        else:
            judge.object(verb, value, names)
    allowed = set(sys.argv[3:])
    for verb in sorted(set(verbs) - printed - allowed):
        judge.fault(f"{verb}: was not run")
    for kind in sorted(set(kinds) - judge.seen - allowed):
        used = any(re.search(rf"\b{kind}\b", said) for keys in kinds.values() for said in keys.values())
        if used or any(kind in said for said in verbs.values()):
            judge.fault(f"{kind}: was not seen in anything that was printed")
    for fault in judge.faults:
        print(fault)
    print(f"{len(printed)} verbs, {len(judge.seen)} kinds of objects, {len(judge.told)} keys with a value")
    return 1 if judge.faults or len(judge.told) < 200 else 0


sys.exit(main())
