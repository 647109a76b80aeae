# SPDX-License-Identifier: BSD-2-Clause
# raid_examine.py TENON DEVICE...: each line that `mdadm --examine` prints of a device has its place in `tenon raid examine --json`, with the
# same value. A line that is not known here is a failure, too. Fails also where mdadm printed nothing.
import calendar
import json
import re
import subprocess
import sys
import time


def sectors(text):
    return int(text.split()[0]) * 512


def seconds(text):
    return calendar.timegm(time.strptime(text, "%a %b %d %H:%M:%S %Y"))


def ours(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def kib(text):
    return int(text.split()[0]) * 1024


def size(text):
    number = re.match(r"(\d+)(K|M|G)?$", text)
    return int(number[1]) << {None: 0, "K": 10, "M": 20, "G": 30}[number[2]]


PLAIN = {
    "Array UUID": ("array_uuid", str),
    "Device UUID": ("device_uuid", str),
    "Raid Level": ("level", str),
    "Raid Devices": ("devices", int),
    "Avail Dev Size": ("data_size_bytes", sectors),
    "Data Offset": ("data_offset_bytes", sectors),
    "New Offset": ("new_data_offset_bytes", sectors),
    "Super Offset": ("super_offset_bytes", sectors),
    "Recovery Offset": ("recovery_offset_bytes", sectors),
    "Reshape pos'n": ("reshape_position_bytes", lambda text: kib(text + " ")),
    "State": ("state", str),
    "Events": ("events", int),
    "Layout": ("layout", str),
    "New Layout": ("new_layout", str),
    "New Level": ("new_level", str),
    "Chunk Size": ("chunk_bytes", size),
    "New Chunksize": ("new_chunk_bytes", size),
}
# Without a value, or another spelling of what is in another line.
NO_FACT = {"Magic", "Preferred Minor", "Total Devices"}
FLAGS = {"write-mostly", "failfast"}


def used_size(text, row):
    factor = 512 if "sectors" in text else 1024
    return int(text.split()[0]) * factor, row["member_size_bytes"] or 0


def array_size(text, row):
    theirs, our = kib(text), row["array_size_bytes"]
    # mdadm does not round down to whole chunks, as md does where copies of an odd number of chunks would not fit.
    if row["level"] == "raid10" and our % row["chunk_bytes"] == 0 and 0 < theirs - our < row["chunk_bytes"]:
        our = theirs
    return theirs, our


def bad_blocks(text, row):
    log = re.match(r"(\d+ entries available at offset -?\d+ sectors)( - bad blocks present\.)?$", text)
    return (log[1], bool(log[2])), (row["bad_block_log"], "bad-blocks" in row["features"])


def checksum(text, row):
    found, _, said = text.partition(" - ")
    expected = found if said == "correct" else said.split()[1]
    return (int(found, 16), int(expected, 16)), tuple(int(row[key], 16) for key in ("checksum", "checksum_expected"))


def role(text, row):
    words = text.lower().split()
    kind = words[0]
    if kind == "spare" and row["kind"] == "faulty":
        kind = "faulty"  # mdadm has one word for both
    return (kind, int(words[-1]) if len(words) > 1 else None), (row["kind"], row["role"])


def delta(text, row):
    return int(text.split()[0]), row["delta_disks"]


def bitmap(text, row):
    # Of 0.90 it says only that there is one.
    our = row["bitmap_offset_bytes"]
    return (text, "present" if our else None) if text == "present" else (sectors(text), our)


def ppl(text, row):
    words = text.split()
    return (sectors(text), sectors(words[4])), (row["ppl_bytes"], row["ppl_offset_bytes"])


def unused(text, row):
    before, after = re.match(r"before=(\d+) sectors, after=(\d+) sectors", text).groups()
    return (sectors(before), sectors(after)), (row["unused_before_bytes"], row["unused_after_bytes"])


def name(text, row):
    return re.sub(r"\s+\(local to host .*\)$", "", text), row["set_name"]


def uuid_90(text, row):
    return text.split()[0], row["array_uuid"]


def count_of(letters):
    def judge(text, row):
        # 0.90 counts what the places are: those that are filled, and those that are not.
        return int(text), sum(row["places"].count(letter) for letter in letters)

    return judge


OTHERS = {
    "Version": lambda text, row: (re.sub(r"^0\.9\d.*", "0.90", text), row["metadata"]),
    "Feature Map": lambda text, row: (int(text, 16), int(row["features"][0], 16)),
    "Name": name,
    "UUID": uuid_90,
    "Creation Time": lambda text, row: (seconds(text), ours(row["created"])),
    "Update Time": lambda text, row: (seconds(text), ours(row["updated"])),
    "Array Size": array_size,
    "Used Dev Size": used_size,
    "Rounding": lambda text, row: (size(text), row["chunk_bytes"] or 0),
    "Unused Space": unused,
    "Internal Bitmap": bitmap,
    "PPL": ppl,
    "Delta Devices": delta,
    "Flags": lambda text, row: (set(text.split()), set(row["flags"])),
    "Bad Block Log": bad_blocks,
    "Checksum": checksum,
    "Device Role": role,
    "Array State": lambda text, row: (text.split()[0], row["places"]),
    "Active Devices": count_of("AR"),
}
# 0.90 counts spares and faulty ones of all devices, of which one superblock of ours shows its own.
NOT_OURS = {"Working Devices", "Failed Devices", "Spare Devices"}


def judge(label, text, row):
    if label in PLAIN:
        key, value = PLAIN[label]
        return value(text), row[key]
    return OTHERS[label](text, row)


def compare(tenon, device):
    plain = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    said = subprocess.run(["mdadm", "--examine", device], stdout=subprocess.PIPE, env=plain, check=False).stdout.decode()
    row = json.loads(subprocess.run([tenon, "raid", "examine", "--json", device], stdout=subprocess.PIPE, check=False).stdout)[0]
    lines = [line.split(" : ", 1) for line in said.splitlines() if " : " in line]
    faults = []
    for label, text in ((label.strip(), text.strip()) for label, text in lines):
        if label in NO_FACT or label in NOT_OURS:
            continue
        try:
            theirs, our = judge(label, text, row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            theirs, our = text, f"no place for it ({error!r})"
        if theirs != our:
            faults.append(f"{device}: {label}: mdadm has {theirs}, tenon {our}")
    if len(lines) < 12:
        faults.append(f"{device}: mdadm said only: {said!r}")
    return faults


faults = [fault for device in sys.argv[2:] for fault in compare(sys.argv[1], device)]
print("\n".join(faults) if faults else f"{len(sys.argv) - 2} devices: mdadm and tenon say the same")
sys.exit(bool(faults))
