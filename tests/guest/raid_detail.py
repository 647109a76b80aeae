# SPDX-License-Identifier: BSD-2-Clause
# raid_detail.py DETAIL SHOWN: what `mdadm --detail` said of an array, and what `tenon raid show --json` says of its members once it was stopped.
# A line that is not known here is a failure, too.
import calendar
import json
import re
import sys
import time

shown = json.load(open(sys.argv[2], encoding="utf-8"))
members = shown["members"]


def seconds(text, form):
    return calendar.timegm(time.strptime(text, form))


def mdadms(text):
    return seconds(text, "%a %b %d %H:%M:%S %Y")


def ours(text):
    return seconds(text, "%Y-%m-%dT%H:%M:%SZ")


def kib(text):
    return int(text.split()[0]) * 1024


def count(*states):
    return sum(member["state"] in states for member in members)


def size(text):
    return int(text[:-1]) << {"K": 10, "M": 20}[text[-1]]


def old(key):
    return shown["reshape"][key] if shown["reshape"] else None


# Layout: of RAID0 whose members are alike the superblock has none, and mdadm does not know it.
LINES = {
    "Version": lambda text: (text, shown["metadata"]),
    "Creation Time": lambda text: (mdadms(text), ours(shown["created"])),
    "Raid Level": lambda text: (text, shown["level"]),
    "Array Size": lambda text: (kib(text), shown["size_bytes"]),
    "Used Dev Size": lambda text: (kib(text), shown["member_size_bytes"]),
    "Raid Devices": lambda text: (int(text), shown["devices"]),
    "Layout": lambda text: (text, old("old_layout") or shown["layout"]) if text != "-unknown-" else (0, 0),
    "Chunk Size": lambda text: (size(text), old("old_chunk_bytes") or shown["chunk_bytes"]),
    "Consistency Policy": lambda text: (text, shown["consistency"] or "none"),
    "Delta Devices": lambda text: (int(text.split(",")[0]), shown["devices"] - old("old_devices")),
    "New Layout": lambda text: (text, shown["layout"]),
    "New Chunksize": lambda text: (size(text), shown["chunk_bytes"]),
    "Active Devices": lambda text: (int(text), shown["working"]),
    "Spare Devices": lambda text: (int(text), count("spare", "rebuilding", "replacing")),
    "Name": lambda text: (text.split()[0], shown["set_name"]),
    "UUID": lambda text: (text, shown["uuid"]),
    "Intent Bitmap": lambda text: (text, "Internal" if shown["bitmap"] else None),
    # It was stopped since: later, and by events more.
    "Update Time": lambda text: (True, ours(shown["updated"]) >= mdadms(text)),
    "Events": lambda text: (True, int(text) <= shown["events"] <= int(text) + 8),
    # The words that stay when it is stopped.
    "State": lambda text: (re.search("degraded", text) is not None, shown["degraded"]),
}
# How far it is when it runs, which is not what it was stopped at; and what counts what stops with it, as members that it keeps as faulty.
RUNNING = {"Persistence", "Rebuild Status", "Resync Status", "Reshape Status", "Check Status", "Working Devices", "Failed Devices", "Total Devices"}
faults = []
lines = [line.split(" : ", 1) for line in open(sys.argv[1], encoding="utf-8") if " : " in line]
for label, text in ((label.strip(), text.strip()) for label, text in lines):
    if label in RUNNING:
        continue
    try:
        theirs, our = LINES[label](text)
    except (KeyError, TypeError, ValueError) as error:
        theirs, our = text, f"no place for it ({error!r})"
    if theirs != our:
        faults.append(f"{sys.argv[1]}: {label}: mdadm has {theirs}, tenon {our}")
if len(lines) < 12:
    faults.append(f"{sys.argv[1]}: mdadm said only {len(lines)} lines")
if faults:
    print("\n".join(faults))
sys.exit(bool(faults))
