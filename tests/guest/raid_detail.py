# SPDX-License-Identifier: BSD-2-Clause
# raid_detail.py HOW DETAIL SHOWN [MDSTAT]: what `mdadm --detail` (and /proc/mdstat) said of an array, and what `tenon raid show --json` says.
# HOW:
#     stopped  of its members once it was stopped
#     moment   of copies of its members that were made while md ran it and nothing moved
#     beside   of an array of the same kind in the same state that a server of tenon runs
# A line that is not known here is a failure, too. Members are told apart by the last letter of their names.
import calendar
import json
import re
import sys
import time

how = sys.argv[1]
shown = json.load(open(sys.argv[3], encoding="utf-8"))
text = open(sys.argv[2], encoding="utf-8").read()
mdstat = open(sys.argv[4], encoding="utf-8").read() if how != "stopped" else ""
members = shown["members"]
counts = shown["counts"]
faults = []


def seconds(text, form):
    return calendar.timegm(time.strptime(text, form))


def mdadms(text):
    return seconds(text, "%a %b %d %H:%M:%S %Y")


def ours(text):
    return seconds(text, "%Y-%m-%dT%H:%M:%SZ")


def kib(text):
    return int(text.split()[0]) * 1024


def size(text):
    return int(text[:-1]) << {"K": 10, "M": 20}[text[-1]]


def old(key):
    return shown["reshape"][key] if shown["reshape"] else None


def same(what, theirs, our):
    if theirs != our:
        faults.append(f"{sys.argv[2]}: {what}: mdadm has {theirs!r}, tenon {our!r}")


# Layout: of RAID0 whose members are alike the superblock has none, and mdadm does not know it, or has only told md (4.4).
SHAPE = {
    "Version": lambda text: (text, shown["metadata"]),
    "Raid Level": lambda text: (text, shown["level"]),
    "Raid Devices": lambda text: (int(text), shown["devices"]),
    "Layout": lambda text: (text, old("old_layout") or shown["layout"]) if text != "-unknown-" and (shown["layout"] or shown["level"] != "raid0") else (0, 0),
    "Chunk Size": lambda text: (size(text), old("old_chunk_bytes") or shown["chunk_bytes"]),
    "Consistency Policy": lambda text: (text, shown["consistency"] or "none"),
    "Delta Devices": lambda text: (int(text.split(",")[0]), shown["devices"] - old("old_devices")),
    "New Layout": lambda text: (text, shown["layout"]),
    "New Chunksize": lambda text: (size(text), shown["chunk_bytes"]),
    "Name": lambda text: (text.split()[0], shown["set_name"]),
    "Intent Bitmap": lambda text: (text, "Internal" if shown["bitmap"] else None),
    "Persistence": lambda text: (text, "Superblock is persistent"),
}
# Of this very array.
ITS_OWN = {
    "Creation Time": lambda text: (mdadms(text), ours(shown["created"])),
    "Array Size": lambda text: (kib(text), shown["size_bytes"]),
    "Used Dev Size": lambda text: (kib(text), shown["member_size_bytes"]),
    "UUID": lambda text: (text, shown["uuid"]),
}
# When it was stopped: later, and by events more; only some words stay.
STOPPED = {
    "Update Time": lambda text: (True, ours(shown["updated"]) >= mdadms(text)),
    "Events": lambda text: (True, int(text) <= shown["events"] <= int(text) + 8),
    "State": lambda text: (re.search("degraded", text) is not None, shown["degraded"]),
}
COUNTS = {
    "Total Devices": lambda text: (int(text), counts["total"]),
    "Active Devices": lambda text: (int(text), counts["active"]),
    "Working Devices": lambda text: (int(text), counts["working"]),
    "Failed Devices": lambda text: (int(text), counts["faulty"]),
    "Spare Devices": lambda text: (int(text), counts["spare"]),
}
# Nobody runs what was copied: what runs with md is due there. A write may be in flight (active): the members are not known to agree.
DUE = {
    ", recovering": "",
    ", checking": "",
    ", resyncing": ", not in sync",
    " (PENDING)": "",
    ", reshaping": ", in the middle of a reshape",
}


def due(state):
    for word, instead in DUE.items():
        state = state.replace(word, instead)
    return state.replace("active", "clean, not in sync")


# As far as the superblock of the one that is filled says, which is written now and then.
def filled(text):
    done = [member["recovered_bytes"] for member in members if member["recovered_bytes"] is not None]
    percent = int(text.split("%")[0])
    return True, not done or 0 <= 100 * done[0] // shown["member_size_bytes"] <= percent


MOMENT = {
    "Update Time": lambda text: (mdadms(text), ours(shown["updated"])),
    "Events": lambda text: (int(text), shown["events"]),
    "State": lambda text: (due(text), shown["state"]),
    "Rebuild Status": filled,
    "Resync Status": lambda text: (True, shown["synced_percent"] < 100),
    "Reshape Status": lambda text: (True, shown["reshape"] is not None),
    "Check Status": lambda text: (True, True),
}
OPERATIONS = {"Rebuild": "recover", "Resync": "resync", "Reshape": "reshape", "Check": "check"}
BESIDE = {
    "State": lambda text: (text, shown["state"]),
    **{f"{word} Status": lambda text, is_=is_: (is_, shown["progress"]["operation"]) for word, is_ in OPERATIONS.items()},
    **{label: lambda text: (0, 0) for label in ("Name", "Creation Time", "Array Size", "Used Dev Size", "UUID", "Update Time", "Events")},
}
STOPPED_IGNORES = {"Rebuild Status", "Resync Status", "Reshape Status", "Check Status"}
known = {
    "stopped": {**SHAPE, **ITS_OWN, **STOPPED, **COUNTS, **{label: lambda text: (0, 0) for label in STOPPED_IGNORES}},
    "moment": {**SHAPE, **ITS_OWN, **MOMENT, **COUNTS},
    "beside": {**SHAPE, **BESIDE, **COUNTS},
}[how]
lines = [line.split(" : ", 1) for line in text.splitlines() if " : " in line]
for label, value in ((label.strip(), value.strip()) for label, value in lines):
    try:
        same(label, *known[label](value))
    except (KeyError, TypeError, ValueError) as error:
        same(label, value, f"no place for it ({error!r})")
if len(lines) < 12:
    faults.append(f"{sys.argv[2]}: mdadm said only {len(lines)} lines")

# ---- Its table: number, place, words ----
WORDS = {"in sync": "active sync", "rebuilding": "spare rebuilding", "replacing": "spare rebuilding", "spare": "spare", "faulty": "faulty", "journal": "journal"}


def words(member):
    word = WORDS[member["state"]]
    return word + " writemostly" * member["write_mostly"] + " failfast" * member["failfast"]


def number(text):
    # mdadm numbers those that it creates an array of as it likes.
    return int(text) if how != "beside" else None


def its_table():
    rows = {}
    empty = []
    for its_number, place, state, name in re.findall(r"^ +(\d+|-) +\d+ +\d+ +(\d+|-) +([a-zA-Z -]*[a-zA-Z])(?: +(/\S+))?$", text, re.M):
        if name:
            # Which copies it has (set-A): the layout says so.
            rows[name[-1]] = (number(its_number), None if place == "-" else int(place), re.sub(" set-[A-Z]", "", state))
        else:
            empty.append((int(place), state))
    its = {
        member["device"][-1]: (number(member["number"]), member["role"], words(member))
        for member in members
        if member["state"] not in ("removed", "stale")
    }
    same("the table", rows, its)
    taken = {member["role"] for member in members}
    same("the table's empty places", empty, [(place, "removed") for place in range(shown["devices"]) if place not in taken])


# Names of members say who is who while it runs.
if how != "stopped":
    its_table()

# ---- /proc/mdstat ----
FLAGS = {"spare": "S", "faulty": "F", "journal": "J", "replacing": "R"}


def flags(member):
    return set("W" * member["write_mostly"] + FLAGS.get(member["state"], ""))


if mdstat:
    theirs = {name: (number(its), set(letters) - set("()")) for name, its, letters in re.findall(r"\bubd(\w)\[(\d+)\]([()A-Z]*)", mdstat)}
    same("its members in mdstat", theirs, {member["device"][-1]: (number(member["number"]), flags(member)) for member in members if member["state"] not in ("removed", "stale")})
    places = re.search(r"\[(\d+)/(\d+)\] \[([U_]+)\]", mdstat)
    if places:
        same("places in mdstat", places.groups(), (str(shown["devices"]), str(shown["working"]), shown["places"]))
    else:
        same("level", shown["level"] in ("raid0", "linear"), True)
    runs = re.search(r"(resync|recovery|reshape|check) = ", mdstat)
    if how == "beside":
        same("what runs", runs and runs.group(1).replace("recovery", "recover"), shown["progress"]["operation"].replace("idle", "") or None)
        percent = shown["progress"]["done_percent"]
        same("how far", runs is not None, percent is not None and 0 <= percent < 100)
    chunk = re.search(r"bitmap: \d+/\d+ pages \[\d+KB\], (\d+)KB chunk", mdstat)
    same("the bitmap's chunk", chunk and int(chunk.group(1)) << 10, shown["bitmap"] and shown["bitmap"]["chunk_bytes"])
if faults:
    print("\n".join(faults))
sys.exit(bool(faults))
