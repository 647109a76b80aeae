#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Damages each field of what a volume group has on its disks, and says what comes of it.

usage: volume_damage.py make TENON DIRECTORY		the group that is damaged
       volume_damage.py ours TENON DIRECTORY STEP	a line for each damage: what tenon says, with TABS between its cells
       volume_damage.py theirs DIRECTORY STEP		the same: what lvm2 says (root)
       volume_damage.py table OURS THEIRS		the tables of docs/volume-damage.md
       volume_damage.py compare DOCUMENT OURS|- THEIRS|-	whether the tables say the same

A field is damaged on the first PV ("one") or on both ("all"), and checksums are made right again, unless it is the field. Of STEP damages one is
done. What is refused must leave the disks as they are; that is checked here."""
import hashlib, os, re, shutil, struct, subprocess, sys, zlib

SECTOR, AREA = 512, 4096  # of the label and of the first metadata area
FULL = "ff" * 8
DISKS = "ab"

# Fields: name, byte, length, and what is written there.
LABEL = [("id", 0, 8, "58"), ("sector", 8, 8, "02"), ("sector: far", 8, 8, FULL), ("crc", 16, 4, "5a5a"), ("offset: 0", 20, 4, "00"), ("offset: far", 20, 4, "ffffff7f"),
         ("offset: 8 more", 20, 4, "28"), ("type", 24, 8, "58")]
PV = [("uuid", 32, 32, "7a" * 32), ("uuid: no letter", 32, 1, "2e"), ("device_size: 0", 64, 8, "0000000000000000"), ("device_size: less", 64, 8, "0000100000000000"), ("device_size: more", 64, 8, "0000000001000000"),
      ("device_size: full", 64, 8, FULL), ("data area: offset", 72, 8, "0002"), ("data area: far", 72, 8, FULL), ("data area: size", 80, 8, "00020000"), ("data areas: no end", 88, 8, "0000400000000000"),
      ("metadata area: offset", 104, 8, "0020"), ("metadata area: far", 104, 8, FULL), ("metadata area: size 0", 112, 8, "0000000000000000"), ("metadata area: size", 112, 8, "0002"),
      ("metadata areas: none", 104, 8, "0000000000000000")]
EXTENSION = [("version: 0", 136, 4, "00"), ("version: 9", 136, 4, "09"), ("flags: not used", 140, 4, "00"), ("flags: unknown", 140, 4, "ff"), ("bootloader area: far", 144, 8, FULL),
             ("bootloader area: in the extents", 144, 16, "00002000000000000000100000000000")]
HEADER = [("crc", 0, 4, "5a5a"), ("magic", 4, 16, "58"), ("version", 20, 4, "02"), ("start", 24, 8, "0020"), ("start: full", 24, 8, FULL), ("size: 0", 32, 8, "0000000000000000"), ("size: full", 32, 8, FULL),
          ("size: less", 32, 8, "0004000000000000"), ("slot 0: offset 0", 40, 8, "0000000000000000"), ("slot 0: offset in the header", 40, 8, "0800000000000000"), ("slot 0: offset", 40, 8, "0006"),
          ("slot 0: offset full", 40, 8, FULL), ("slot 0: size 0", 48, 8, "0000000000000000"), ("slot 0: size", 48, 8, "0100"), ("slot 0: size full", 48, 8, FULL), ("slot 0: crc", 56, 4, "5a5a"),
          ("slot 0: ignored", 60, 4, "01"), ("slot 0: unknown flags", 60, 4, "f0"), ("slot 1: a text", 64, 24, "000200000000000064000000000000000000000000000000"), ("slot 1: full", 64, 8, FULL)]
# Keys of the text: the section, the key, and what stands there; None: the line is gone.
HUGE, LIST, TEXT = "18446744073709551615", "[]", '"x"'
KEYS = [
    ("vg", "id", [None, TEXT, "7", '"zzzzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zzzzzz"']), ("vg", "seqno", [None, "0", HUGE, TEXT]), ("vg", "format", [None, '"lvm3"', "1"]),
    ("vg", "status", [None, LIST, '["READ"]', '["WHAT"]', '"RESIZEABLE"', "1"]), ("vg", "flags", [None, '["WHAT"]', "1"]), ("vg", "extent_size", [None, "0", "3", HUGE, TEXT]),
    ("vg", "max_lv", [None, "1", HUGE, TEXT]), ("vg", "max_pv", [None, "1", HUGE]), ("vg", "metadata_copies", [None, "9", HUGE]),
    ("pv0", "id", [None, TEXT, '"zzzzzz-zzzz-zzzz-zzzz-zzzz-zzzz-zzzzzz"', "@pv1"]), ("pv0", "device", [None, "7"]), ("pv0", "status", [None, LIST, '["WHAT"]', "1"]),
    ("pv0", "flags", [None, '["MISSING"]', '["WHAT"]']), ("pv0", "dev_size", [None, "0", "2", HUGE, TEXT]), ("pv0", "pe_start", [None, "0", "8", HUGE, TEXT]),
    ("pv0", "pe_count", [None, "0", "1", "4294967295", HUGE]),
    ("x", "id", [None, TEXT, "@s"]), ("x", "status", [None, LIST, '["READ"]', '["WHAT"]']), ("x", "flags", [None, '["WHAT"]']), ("x", "creation_time", [None, TEXT, HUGE]),
    ("x", "creation_host", [None, "7"]), ("x", "segment_count", [None, "0", "2", HUGE, TEXT]),
    ("x segment1", "start_extent", [None, "1", HUGE]), ("x segment1", "extent_count", [None, "0", "1", "9999", HUGE, TEXT]), ("x segment1", "type", [None, '"what"', '"raid1"', '"striped+WHAT"', "7"]),
    ("x segment1", "stripe_count", [None, "0", "2", HUGE]), ("x segment1", "stripes", [None, LIST, '["pv9", 0]', '["pv0"]', '["pv0", 99999]', '[0, "pv0"]', "7"]),
    ("s segment1", "stripe_size", [None, "0", "3", HUGE]), ("s segment1", "extent_count", ["3"]), ("s segment1", "stripes", ['["pv0", 0, "pv0", 0]', '["pv0", 0]']),
    ("r segment1", "device_count", [None, "0", "3", HUGE]), ("r segment1", "region_size", [None, "3", HUGE]), ("r segment1", "raids", [None, LIST, '["what", "r_rimage_0", "r_rmeta_1", "r_rimage_1"]', '["r_rimage_0"]', "7"]),
    ("r_rimage_0", "status", [None, '["READ", "WRITE", "VISIBLE"]']), ("r_rimage_0 segment1", "extent_count", ["1"]),
    ("", "contents", [None, TEXT]), ("", "version", [None, "2", TEXT]), ("", "description", [None, "7"]), ("", "creation_host", [None, "7"]), ("", "creation_time", [None, TEXT])]
BROKEN = [("a brace less", lambda text: text.replace("}\n", "\n", 1)), ("a brace more", lambda text: text.replace("}\n", "}}\n", 1)), ("a quote less", lambda text: text.replace('"', "", 1)),
          ("a key twice", lambda text: text.replace("max_lv = 0\n", "max_lv = 0\nmax_lv = 1\n")), ("two volumes of a name", lambda text: text.replace("\ns {", "\nx {")),
          ("a control character", lambda text: text.replace("max_lv", "max_\x01lv")), ("cut off", lambda text: text[:text.index("stripe_size = ")]), ("nothing", lambda text: ""),
          ("another name", lambda text: text.replace("vg {", "../vg {", 1)), ("no physical_volumes", lambda text: text.replace("physical_volumes {", "physical_what {"))]


def crc(data):
    return zlib.crc32(data, 0xf597a6cf ^ 0xffffffff) ^ 0xffffffff


def number(data, at, size=8):
    return int.from_bytes(data[at:at + size], "little")


def mend_label(image):
    image[SECTOR + 16:SECTOR + 20] = struct.pack("<I", crc(bytes(image[SECTOR + 20:SECTOR + 512])))


def mend_header(image, at):
    image[at:at + 4] = struct.pack("<I", crc(bytes(image[at + 4:at + 512])))


def areas(image):
    at = SECTOR + 72
    while number(image, at):
        at += 16
    at += 16
    while number(image, at):
        yield number(image, at)
        at += 16


def text_of(image):
    at = AREA + number(image, AREA + 40)
    return bytes(image[at:at + number(image, AREA + 48) - 1]).decode()


def put_text(image, text):
    data = text.encode() + b"\0"
    for area in list(areas(image)):
        offset = number(image, area + 40)
        image[area + offset:area + offset + len(data)] = data
        image[area + 48:area + 60] = struct.pack("<QI", len(data), crc(data))
        mend_header(image, area)


def with_key(text, section, key, value):
    at = 0
    for name in section.split() if section else []:
        at = text.index(f"{name} {{\n", at) if name == "vg" or at == 0 and text.startswith(name) else text.index(f"\n{name} {{\n", at)
    if not section:
        at = text.index("\ncontents =")
    start = text.index(f"\n{key} = ", at) + 1
    end = text.index("\n", start) + 1
    if text[start:end].endswith("[\n"):  # a list of several lines
        end = text.index("]\n", start) + 2
    if value and value[0] == "@":
        other = text.index(f"\n{value[1:]} {{\n")
        value = text[text.index("id = ", other) + 5:text.index("\n", text.index("id = ", other))]
    return text[:start] + (f"{key} = {value}\n" if value is not None else "") + text[end:]


def damages():
    """Structure, field, where, and what does it to an image."""
    for structure, fields in (("label", LABEL), ("PV header", PV), ("extension", EXTENSION)):
        for name, at, size, value in fields:
            def change(image, at=at, size=size, value=bytes.fromhex(value), name=name):
                image[SECTOR + at:SECTOR + at + len(value)] = value
                if name != "crc":
                    mend_label(image)
            for where in ("one", "all"):
                if name.startswith("uuid") and where == "all" and "letter" not in name:
                    continue  # both would have one
                yield structure, name, where, change
    for name, at, size, value in HEADER:
        def change(image, at=at, size=size, value=bytes.fromhex(value), name=name):
            for area in list(areas(image)):
                image[area + at:area + at + len(value)] = value
                if name != "crc":
                    mend_header(image, area)
        for where in ("one", "all"):
            yield "metadata area header", name, where, change
    for section, key, values in KEYS:
        for value in values:
            field = f"{section or 'the end'}: {key} " + ("is gone" if value is None else f"= {value}")
            yield "text", field, "all", lambda image, s=section, k=key, v=value: put_text(image, with_key(text_of(image), s, k, v))
    for name, change in BROKEN:
        for where in ("one", "all"):
            yield "text", name, where, lambda image, change=change: put_text(image, change(text_of(image)))


# ---- The group ----

def run(*words, cwd=None):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, timeout=60)
    return done.returncode, done.stdout.decode(errors="replace")


DEVICES = [word for disk in DISKS for word in ("--device", disk)]


def make(tenon, directory):
    base = f"{directory}/base"
    os.makedirs(base)
    for disk in DISKS:
        with open(f"{base}/{disk}", "wb") as image:
            image.truncate(8 << 20)
    for words in (["vg", "create", "vg", "a", "b", "--extent-size", "64K"], ["lv", "create", "vg/x", "--size", "256K", "a"],
                  ["lv", "create", "vg/s", "--size", "256K", "--stripes", "2"], ["lv", "create", "vg/r", "--size", "256K", "--type", "raid1", "--nosync"]):
        rc, said = run(tenon, *words, *DEVICES, cwd=base)
        if rc:
            sys.exit(f"{' '.join(words)}: {said}")


def each(directory, step):
    """Each damage that changes something, in DIRECTORY/now."""
    base, now = f"{directory}/base", f"{directory}/now"
    for count, (structure, field, where, change) in enumerate(damages(), 1):
        if count % int(step):
            continue
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(base, now)
        for disk in DISKS if where == "all" else DISKS[0]:
            image = bytearray(open(f"{now}/{disk}", "rb").read())
            before = bytes(image)
            change(image)
            if bytes(image) == before:
                sys.exit(f"{structure}: {field}: nothing is damaged")
            open(f"{now}/{disk}", "wb").write(image)
        yield [structure, field, where], now


# ---- What is said ----

def short(text, folder, numbers=None):
    text = re.sub(r"(?<!\w)/[\w/.-]*/(?:base|now)/([ab])\b", r"\1", text)
    lines = [line.strip() for line in text.strip().splitlines() if not line.startswith("       ")]
    text = " / ".join(line for line in lines if line)
    text = re.sub(r"tenon: (warning: |note: )?", "", text)
    text = re.sub(r"\b\w{6}-\w{4}-\w{4}-\w{4}-\w{4}-\w{4}-\w{6}\b", "UUID", text)
    text = re.sub(r"\b\w{32}\b", "UUID", text)
    text = re.sub(r"0x[0-9a-f]{6,8}\b|\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{7,8}\b", "X", text)
    # Where a text lies and how long it is depends on who wrote it.
    text = re.sub(r"(metadata text at byte|the text begins at|the metadata has) \d+", r"\1 N", text)
    text = re.sub(r"/dev/loop\d+", lambda match: LOOPS.get(match.group(), match.group()), text)
    # What lvm2 finds where it looks for something else; checksums with whatever digits.
    text = re.sub(r"(wrong (?:version|start sector)) (?!18446744073709551615\b)\d{6,}", r"\1 N", text)
    text = re.sub(r"(mda_checksum|mda_size \d+ vs) \w+", r"\1 X", text)
    text = re.sub(numbers, "N", text) if numbers else text
    return "".join(c if " " <= c < "\x7f" and c not in "|\\" else "." for c in text)[:400]


LOOPS = {}


def state_of(folder):
    return {disk: hashlib.md5(open(f"{folder}/{disk}", "rb").read()).hexdigest() for disk in DISKS}


def check_cell(tenon, folder):
    rc, text = run(tenon, "pv", "check", *DISKS, "--json", cwd=folder)
    worst = re.findall(r'"severity": "(?:damaged|warning)",\s*"what": "(.*)",\s*"found": (.*),\s*"expected": (.*)\n', text)
    if not worst:
        return "fine" if not rc else short(text, folder)
    said = (f"{what}: {found}" + (f", expected {expected}" if expected != "null" else "") for what, found, expected in worst[:2])
    return short(" / ".join(said).replace('\\"', "'").replace('"', ""), folder)


def show_cell(tenon, folder):
    rc, text = run(tenon, "vg", "show", "vg", "--json", *DEVICES, cwd=folder)
    if rc:
        return "no: " + short(text, folder)
    lines = re.findall(r'"problems": \[(.*?)\]', text, re.S)[0]
    problems = " / ".join(line.strip().strip('",') for line in lines.strip().splitlines())
    locked = re.search(r'"locked_reason": "(.*)"', text)
    return short(("locked: " if locked else "") + (problems or (locked.group(1) if locked else "whole")), folder)


def change_cell(tenon, folder, shown):
    before = state_of(folder)
    rc, text = run(tenon, "lv", "create", "vg/new", "--extents", "1", *DEVICES, cwd=folder)
    if rc and state_of(folder) != before:
        sys.exit(f"{folder}: was refused ({text}), and written to")
    if not rc:
        return "done"
    return "no" if shown.startswith(("no: ", "locked: ")) else "no: " + short(text, folder)


def ours(tenon, directory, step):
    os.environ.update(TENON_ARCHIVE="off", TENON_RUNTIME_DIR=directory, TENON_STATE_DIR=directory)
    for row, now in each(directory, step):
        before = state_of(now)
        cells = [check_cell(tenon, now), show_cell(tenon, now)]
        if state_of(now) != before:
            sys.exit(f"{row}: looking has changed it")
        print("\t".join([*row, *cells, change_cell(tenon, now, cells[1])]), flush=True)


def theirs(directory, step):
    for row, now in each(directory, step):
        LOOPS.clear()
        for disk in DISKS:
            LOOPS[run("losetup", "-f", "--show", f"{now}/{disk}")[1].strip()] = disk
        accept = "".join('"a|^%s$|",' % loop for loop in LOOPS)
        config = ('devices { use_devicesfile=0 hints="none" filter=[%s"r|.*|"] obtain_device_list_from_udev=0 external_device_info_source="none" } '
                  'backup { backup=0 archive=0 } global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 }' % accept)
        try:
            rc, text = run("lvm", "vgck", "--driverloaded", "n", "--config", config, "vg")
        finally:
            for loop in LOOPS:
                run("losetup", "-d", loop)
        lines = "\n".join(line for line in text.splitlines() if "driver" not in line and "leaked" not in line and "Activation disabled" not in line)
        # Lengths of texts depend on who writes them, and where.
        print("\t".join([*row, ("no: " if rc else "") + (short(lines, now, r"\b\d{4}\b") or "fine")]), flush=True)


# ---- The tables ----

HEAD = """| field | on | `pv check` | `vg show` | `lv create` | `vgck` |
| --- | --- | --- | --- | --- | --- |"""


def read_rows(path):
    return [line.rstrip("\n").split("\t") for line in open(path)]


def table(path_ours, path_theirs):
    they = {tuple(row[:3]): row[3] for row in read_rows(path_theirs)}
    last = None
    for row in read_rows(path_ours):
        if row[0] != last:
            last = row[0]
            print(f"\n## {last[0].upper()}{last[1:]}\n\n{HEAD}")
        print("| " + " | ".join([*row[1:], they.get(tuple(row[:3]), "")]) + " |")


# Here lvm2 goes by the device that it has seen last.
EITHER = {("text", "no physical_volumes", "one")}


def alike(row, cells):
    """lvm2 looks at both devices at once: which of them it speaks of first is chance."""
    if len(cells) > 1:
        return cells
    said = re.sub(r"\b(device|on|from|in|of|PV|[Ss]canning|reading) [ab]\b", r"\1 DEVICE", cells[0])
    said = re.sub(r"by VGs (UUID and |( and UUID))\.", "by VGs UUID and .", said)
    if len(cells[0]) >= 400:  # the last sentence is cut off, somewhere
        said = said.rsplit(" / ", 1)[0]
    return said.removeprefix("no: ") if tuple(row) in EITHER else said


def compare(document, *paths):
    said, structure = {}, None
    for line in open(document):
        if line.startswith("## "):
            structure = line[3:].strip().lower()
        cells = line.rstrip("\n")[2:-2].split(" | ")
        if line.startswith("| ") and len(cells) == 6:
            said[structure, cells[0], cells[1]] = cells[2:]
    differ = 0
    for path, first, count in zip(paths, (0, 3), (3, 1)):
        for row in read_rows(path) if path != "-" else []:
            expected = said.get((row[0].lower(), row[1], row[2]))
            if not expected or alike(row[:3], expected[first:first + count]) != alike(row[:3], row[3:]):
                differ += 1
                print(f"{row[:3]}:\n  said     {row[3:]}\n  expected {expected and expected[first:first + count]}")
    sys.exit(1 if differ else 0)


{"make": make, "ours": ours, "theirs": theirs, "table": table, "compare": compare}[sys.argv[1]](*sys.argv[2:])
