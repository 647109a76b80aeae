#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Damages each field of what arrays have on their disks, and says what comes of it.

usage: raid_damage.py make TENON RAID_TOOL DIRECTORY	the arrays that are damaged, in DIRECTORY/KIND
       raid_damage.py ours TENON DIRECTORY STEP		a line for each damage: what tenon says, with TABS between its cells
       raid_damage.py patches DIRECTORY STEP		a line for each: STRUCTURE FIELD WHERE KIND, with TABS, and then DISK BYTE ESCAPED...
       raid_damage.py table OURS THEIRS			the table of docs/raid-damage.md
       raid_damage.py compare DOCUMENT OURS|- THEIRS|-	whether the table says the same

A field is damaged on one member ("one") or on all of them ("all"), and the checksum, where there is one, is made right again, unless it is
the field. Of STEP damages one is done. While an array is refused its members must stay as they are; that is checked here."""
import hashlib, json, os, re, shutil, struct, subprocess, sys

FULL = "ff" * 8

# Fields of the superblock 1.x, 0.90, ...: name, byte, length, and what is written there.
SB1 = [("magic", 0, 4, "00"), ("major_version", 4, 4, "02"), ("feature_map: unknown", 8, 4, "00001000"), ("feature_map: journal", 8, 4, "00020000"),
       ("feature_map: reshape", 8, 4, "04000000"), ("pad0", 12, 4, "01"), ("set_uuid", 16, 16, "5a"), ("set_name", 32, 32, "2e2e2f00"),
       ("ctime", 64, 8, FULL), ("level", 72, 4, "09000000"), ("level: 6", 72, 4, "06000000"), ("layout", 76, 4, "4d000000"), ("size", 80, 8, FULL),
       ("size: 1 chunk less", 80, 8, "e007"), ("chunksize", 88, 4, "03000000"), ("raid_disks: many", 92, 4, "ffffff7f"), ("raid_disks: 1 more", 92, 4, "04000000"),
       ("bitmap_offset", 96, 4, "00100000"), ("new_level", 100, 4, "09000000"), ("reshape_position", 104, 8, FULL), ("delta_disks", 112, 4, "01000000"),
       ("new_offset", 124, 4, "ffffff7f"), ("data_offset: far", 128, 8, FULL), ("data_offset: 8 more", 128, 8, "0810"), ("data_size", 136, 8, FULL),
       ("super_offset", 144, 8, "1000"), ("recovery_offset", 152, 8, FULL), ("dev_number: many", 160, 4, "ffffffff"), ("dev_number: another's", 160, 4, "02000000"),
       ("device_uuid", 168, 16, "5a"), ("devflags", 184, 1, "ff"), ("bblog_shift", 185, 1, "ff"), ("bblog_size", 186, 2, "ffff"), ("bblog_offset", 188, 4, "00000080"),
       ("utime", 192, 8, FULL), ("events: more", 200, 8, "ffff"), ("events: 0", 200, 8, "0000"), ("resync_offset", 208, 8, "0000000000000000"),
       ("sb_csum", 216, 4, "5a5a"), ("max_dev", 220, 4, "ffffff7f"), ("max_dev: 0", 220, 4, "0000"), ("logical_block_size", 224, 4, "03"), ("pad3", 228, 28, "01"),
       ("dev_roles: faulty", 256, 6, "fefffefffeff"), ("dev_roles: the same", 256, 6, "010001000100")]
SB90 = [("md_magic", 0, 4, "00"), ("major_version", 4, 4, "01"), ("minor_version", 8, 4, "5c"), ("gvalid_words", 16, 4, FULL), ("set_uuid0", 20, 4, "5a"), ("ctime", 24, 4, "ffffffff"),
        ("level", 28, 4, "09000000"), ("size", 32, 4, "ffffffff"), ("nr_disks", 36, 4, "ffffffff"), ("raid_disks", 40, 4, "1c000000"), ("raid_disks: 0", 40, 4, "00"), ("md_minor", 44, 4, "ffffffff"),
        ("not_persistent", 48, 4, "01"), ("utime", 128, 4, "ffffffff"), ("state", 132, 4, "00"), ("failed_disks", 144, 4, "02"), ("sb_csum", 152, 4, "5a5a"),
        ("events", 156, 4, "ffff"), ("recovery_cp", 172, 4, "08"), ("layout", 256, 4, "4d"), ("chunk_size", 260, 4, "03000000"), ("disks[0].raid_disk", 524, 4, "01"), ("disks[0].state", 528, 4, "01"),
        ("this_disk.number", 3968, 4, "ffffffff"), ("this_disk.raid_disk", 3980, 4, "09"), ("patch_version", 12, 4, "ffffffff"), ("size: 0", 32, 4, "00000000"), ("nr_disks: 0", 36, 4, "00"),
        ("raid_disks: 27", 40, 4, "1b000000"), ("set_uuid1", 52, 4, "5a"), ("active_disks", 136, 4, "ffffffff"), ("working_disks", 140, 4, "00"), ("spare_disks", 148, 4, "ffffffff"), ("cp_events", 164, 4, "ffff"),
        ("disks[0].number", 512, 4, "09"), ("disks[0].major", 516, 4, "ffffffff"), ("disks[26].state", 3856, 4, "01"), ("this_disk.major", 3972, 4, "ffffffff"), ("this_disk.state", 3984, 4, "01")]
BITMAP = [("magic", 0, 4, "00"), ("version", 4, 4, "09"), ("uuid", 8, 16, "5a"), ("events", 24, 8, FULL), ("events_cleared", 32, 8, FULL), ("sync_size", 40, 8, FULL), ("state", 48, 4, "02"),
          ("chunksize: 3", 52, 4, "03000000"), ("chunksize: 2 GiB", 52, 4, "00000080"), ("daemon_sleep", 56, 4, "ffffffff"), ("write_behind", 60, 4, "ffffffff"), ("sectors_reserved", 64, 4, "ffffffff")]
PPL = [("signature", 512, 4, "5a"), ("generation", 520, 8, FULL), ("entries_count", 528, 4, "ffffffff"), ("checksum", 532, 4, "5a5a"), ("data_sector", 536, 8, FULL), ("pp_size", 544, 4, "ffffff7f"),
       ("data_size", 548, 4, "ffffff7f"), ("parity_disk", 552, 4, "09"), ("checksum of parity", 556, 4, "5a5a")]
JOURNAL = [("magic", 0, 4, "00"), ("checksum", 4, 4, "5a5a"), ("version", 8, 1, "09"), ("meta_size", 12, 4, "ffffff7f"), ("seq", 16, 8, FULL), ("position", 24, 8, "1000"),
           ("type", 32, 2, "0900"), ("flags", 34, 2, "ffff"), ("size", 36, 4, "ffffff7f"), ("location", 40, 8, FULL), ("checksum of data", 48, 4, "5a5a")]
# Of an array that is in the middle of a reshape from three members to four.
SB1_RESHAPE = [("feature_map: no reshape", 8, 4, "00"), ("feature_map: downwards", 8, 4, "6c"), ("feature_map: no new_offset", 8, 4, "04"), ("level", 72, 4, "06000000"), ("layout", 76, 4, "00000000"),
               ("size: 1 chunk less", 80, 8, "e017"), ("chunksize", 88, 4, "40000000"), ("raid_disks: 1 more", 92, 4, "05000000"), ("raid_disks: 3", 92, 4, "03000000"), ("new_level: 9", 100, 4, "09000000"),
               ("new_level: 6", 100, 4, "06000000"), ("reshape_position: 0", 104, 8, "0000000000000000"), ("reshape_position: within a row", 104, 8, "f9"), ("reshape_position: far", 104, 8, FULL),
               ("reshape_position: 1 row", 104, 8, "6000000000000000"), ("delta_disks: 0", 112, 4, "00000000"), ("delta_disks: 2", 112, 4, "02000000"), ("delta_disks: -1", 112, 4, "ffffffff"), ("delta_disks: far", 112, 4, "00000080"),
               ("new_layout: 0", 116, 4, "00000000"), ("new_layout: 77", 116, 4, "4d000000"), ("new_chunk: 3", 120, 4, "03000000"), ("new_chunk: twice", 120, 4, "40000000"), ("new_chunk: 0", 120, 4, "00000000"),
               ("new_offset: 0", 124, 4, "00000000"), ("new_offset: 8 less", 124, 4, "e8ffffff"), ("new_offset: up", 124, 4, "20000000"), ("new_offset: far", 124, 4, "00000080"),
               ("recovery_offset", 152, 8, FULL), ("dev_roles: faulty", 256, 6, "fefffefffeff"), ("dev_roles: the new one faulty", 262, 2, "feff")]
SB91 = [("minor_version: 90", 8, 4, "5a"), ("level", 28, 4, "06000000"), ("size: more", 32, 4, "f013"), ("nr_disks", 36, 4, "ffffffff"), ("raid_disks: 27", 40, 4, "1b000000"), ("raid_disks: 3", 40, 4, "03000000"),
        ("reshape_position: 0", 176, 8, "0000000000000000"), ("reshape_position: within a row", 176, 8, "f9"), ("reshape_position: far", 176, 8, FULL), ("reshape_position: 1 row", 176, 8, "6000000000000000"),
        ("new_level: 9", 184, 4, "09000000"), ("new_level: 6", 184, 4, "06000000"), ("delta_disks: 0", 188, 4, "00000000"), ("delta_disks: 2", 188, 4, "02000000"), ("delta_disks: -1", 188, 4, "ffffffff"),
        ("delta_disks: far", 188, 4, "00000080"), ("new_layout: 0", 192, 4, "00000000"), ("new_layout: 77", 192, 4, "4d000000"), ("new_chunk: 3", 196, 4, "03000000"), ("new_chunk: twice", 196, 4, "00800000"),
        ("new_chunk: 0", 196, 4, "00000000"), ("layout", 256, 4, "00"), ("chunk_size", 260, 4, "00800000"), ("disks[3].state: faulty", 912, 4, "01"), ("disks[3].raid_disk", 908, 4, "09"), ("this_disk.state", 3984, 4, "00")]
DM = [("magic", 0, 4, "00"), ("compat_features: unknown", 4, 4, "00000080"), ("compat_features: 0", 4, 4, "00"), ("num_devices", 8, 4, "04"), ("num_devices: far", 8, 4, "ffffffff"), ("array_position", 12, 4, "09"),
      ("array_position: another's", 12, 4, "02"), ("events: more", 16, 8, "ffff"), ("events: 0", 16, 8, "0000"), ("failed_devices", 24, 8, "02"), ("failed_devices: all", 24, 8, FULL),
      ("disk_recovery_offset: 0", 32, 8, "0000000000000000"), ("disk_recovery_offset: far", 32, 8, "ffffffffffffff7f"), ("array_resync_offset: 0", 40, 8, "0000000000000000"), ("array_resync_offset: far", 40, 8, "ffffffffffffff7f"),
      ("level", 48, 4, "09"), ("level: 6", 48, 4, "06"), ("layout", 52, 4, "4d"), ("layout: 0", 52, 4, "00"), ("stripe_sectors", 56, 4, "03000000"), ("stripe_sectors: twice", 56, 4, "0001"),
      ("flags: reshape", 60, 4, "01"), ("flags: downwards", 60, 4, "02"), ("flags: unknown", 60, 4, "04"), ("reshape_position", 64, 8, "0000000000000000"), ("new_level", 72, 4, "09"), ("new_layout", 76, 4, "4d"),
      ("new_stripe_sectors", 80, 4, "03"), ("delta_disks", 84, 4, "01"), ("array_sectors: less", 88, 8, "80"), ("array_sectors: far", 88, 8, "ffffffffffffff7f"), ("data_offset", 96, 8, "80"), ("data_offset: far", 96, 8, "ffffffffffffff7f"),
      ("new_data_offset", 104, 8, "80"), ("sectors: less", 112, 8, "80"), ("sectors: far", 112, 8, "ffffffffffffff7f"), ("extended_failed_devices", 120, 8, "01"), ("incompat_features", 144, 4, "01"), ("pad", 148, 8, FULL)]

KINDS = {"1.2": "abc", "0.90": "abc", "ppl": "abc", "journal": "abcj", "reshape": "abcd", "0.91": "abcd", "dm": "pqr"}
RESHAPED = {"reshape", "0.91"}
# Structure, its fields, the kind of array that has it, what mends its checksum, and whether all members have it.
STRUCTURES = [("1.2", SB1, "1.2", "sum1", True), ("0.90", SB90, "0.90", "sum90", True), ("bitmap", BITMAP, "1.2", None, True), ("PPL header", PPL, "ppl", "crcppl", True),
              ("journal block", JOURNAL, "journal", "crcjournal", False), ("1.2, reshape", SB1_RESHAPE, "reshape", "sum1", True), ("0.91", SB91, "0.91", "sum90", True), ("dm-raid", DM, "dm", None, True)]
HEADINGS = {"dm-raid": "| field | on | | `lv scrub` | `vgchange -ay` | dm-raid |"}
CHECKSUMS = {"sb_csum", "checksum"}


def crc_entry(crc):
    for _ in range(8):
        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc


CRC32C = [crc_entry(byte) for byte in range(256)]


def crc32c(data, crc):
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc


def word(data, at, size=4):
    return int.from_bytes(data[at:at + size], "little")


def mend(image, at, how, uuid):
    page = image[at:at + 4096]
    if how == "sum1":
        size = 256 + 2 * min(word(page, 220), 1920)
        page[216:220] = bytes(4)
        total = sum(struct.unpack(f"<{size // 4}I", page[:size // 4 * 4])) + (word(page, size - 2, 2) if size % 4 else 0)
        place, value = 216, (total & 0xffffffff) + (total >> 32)
    elif how == "sum90":
        page[152:156] = bytes(4)
        total = sum(struct.unpack("<1024I", page))
        place, value = 152, (total & 0xffffffff) + (total >> 32)
    elif how == "crcppl":
        page[532:536] = bytes(4)
        place, value = 532, ~crc32c(page, 0xffffffff)
    elif how == "crcjournal":
        page[4:8] = bytes(4)
        place, value = 4, crc32c(page, crc32c(uuid, 0xffffffff))
    else:
        return
    image[at + place:at + place + 4] = struct.pack("<I", value & 0xffffffff)


class Row:
    def __init__(self, directory, structure, field, where):
        name, _, self.kind, mends, _ = structure
        self.structure, self.where = name, where
        self.field, at, size, value = field
        self.before, self.images = {}, {}
        disks = KINDS[self.kind]
        if name == "journal block":
            disks = "j"
        elif where == "one":
            disks = disks[2 if name == "PPL header" else 1]
        for disk in disks:
            image = bytearray(open(f"{directory}/{self.kind}/{disk}", "rb").read())
            self.before[disk] = bytes(image)
            for place in places(name, image):
                new = bytes.fromhex(value)[:size]
                if self.field == "set_name" or name != "1.2" or size <= 8 or "roles" in self.field:
                    image[place + at:place + at + len(new)] = new
                else:
                    image[place + at:place + at + size] = (new * size)[:size]
                if mends and self.field not in CHECKSUMS:
                    mend(image, place, mends, self.before[disk][4112:4128])
            self.images[disk] = image

    def patches(self):
        """Of the pages that differ, with the bytes as printf(1) takes them."""
        for disk, image in self.images.items():
            before = self.before[disk]
            for page in range(0, len(image), 512):
                new, old = image[page:page + 512], before[page:page + 512]
                if new != old:
                    changed = [i for i in range(512) if new[i] != old[i]]
                    yield disk, page + changed[0], "".join(f"\\{byte:03o}" for byte in new[changed[0]:changed[-1] + 1])


def places(name, image):
    if name in ("1.2", "1.2, reshape"):
        return [4096]
    if name == "bitmap":
        return [8192]
    if name in ("0.90", "0.91"):
        return [(len(image) & ~65535) - 65536]
    if name == "PPL header":
        return [4096 + 512 * struct.unpack("<h", image[4096 + 96:4096 + 98])[0]]
    if name == "journal block":
        return [512 * (word(image, 4096 + 128, 8) + word(image, 4096 + 152, 8))]
    return [at for at in range(0, len(image), 4096) if image[at:at + 4] == b"DmRd"]


def rows(directory, step):
    number = 0
    for structure in STRUCTURES:
        for field in structure[1]:
            for where in ("one", "all") if structure[4] else ("one",):
                if field[0] in CHECKSUMS and where == "all":
                    continue
                number += 1
                if number % int(step) == 0:
                    yield Row(directory, structure, field, where)


# ---- The arrays ----

def run(*words, cwd=None):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, timeout=60)
    return done.returncode, done.stdout.decode(errors="replace")


def must(*words, cwd=None):
    rc, text = run(*words, cwd=cwd)
    if rc:
        sys.exit(f"{' '.join(words)}: {text}")


def superblock_90(number, total, size):
    page = bytearray(4096)
    struct.pack_into("<13I", page, 0, 0xa92b4efc, 0, 90, 0, 0, 0x11223344, 1700000000, 5, size, total, total, 0, 0)
    struct.pack_into("<3I", page, 52, 0x55667788, 0x99aabbcc, 0xddeeff00)
    struct.pack_into("<12I", page, 128, 1700000100, 1, total, total, 0, 0, 0, 7, 0, 7, 0, 0xffffffff)
    struct.pack_into("<2I", page, 256, 2, 16384)
    for i in range(total):
        struct.pack_into("<5I", page, 512 + 128 * i, i, 98, 16 * i, i, 6)
    struct.pack_into("<5I", page, 3968, number, 98, 16 * number, number, 6)
    return page


# Some MiB of each member have moved.
RESHAPE = ["rate", "1M", "add", "d", "devices", "4", "until", "40", "freeze", "flush", "crash"]


def make_90(tool, folder, disks, steps):
    size = os.path.getsize(f"{folder}/a")
    for i, disk in enumerate(disks):
        with open(f"{folder}/{disk}", "r+b") as image:
            data = bytearray(superblock_90(i, len(disks), (size - 131072) // 1024 if steps == RESHAPE else 1024))
            mend(data, 0, "sum90", None)
            image.seek(size - 65536)
            image.write(data)
    must(tool, "assemble", *disks, "--", "write", "0", "8M" if steps == RESHAPE else "256K", "1", *steps, cwd=folder)


def make_dm(tenon, folder):
    devices = ("--device", "p", "--device", "q", "--device", "r")
    must(tenon, "vg", "create", "vg", "p", "q", "r", "--extent-size", "1M", *devices, cwd=folder)
    must(tenon, "lv", "create", "vg/x", "--type", "raid5", "--stripes", "2", "--size", "2M", "--nosync", *devices, cwd=folder)
    with open(f"{folder}/../data", "wb") as data:
        data.write(bytes(range(256)) * 8192)
    must(tenon, "copy", "../data", "vg/x", "--force", *devices, cwd=folder)


def make(tenon, tool, directory):
    # The header of PPL that counts is the first one on the last member, then.
    steps = {"1.2": ["write", "0", "256K", "1"], "ppl": ["write", "0", "4K", "1", "flush", "crash"], "journal": ["write", "0", "256K", "1", "write", "300K", "4K", "2", "flush", "crash"],
             "reshape": ["write", "0", "8M", "1", *RESHAPE]}
    for kind, disks in KINDS.items():
        folder = f"{directory}/{kind}"
        os.makedirs(folder)
        for disk in disks:
            with open(f"{folder}/{disk}", "wb") as image:
                image.truncate((4 if kind == "dm" else 5 if kind in RESHAPED else 3) << 20)
        if kind in ("0.90", "0.91"):
            make_90(tool, folder, "abc", RESHAPE if kind == "0.91" else [])
        elif kind == "dm":
            make_dm(tenon, folder)
        else:
            choice = {"1.2": ["--bitmap", "internal"], "ppl": ["--consistency", "ppl"], "journal": ["--consistency", "journal", "--journal", "j"], "reshape": ["--bitmap", "none"]}[kind]
            must(tenon, "raid", "create", "x", "--level", "5", "--chunk", "16K", "--assume-clean", *choice, *"abc", cwd=folder)
            run(tool, "assemble", *"abc", *("j" if kind == "journal" else ""), "--", *steps[kind], cwd=folder)
    write_sums(tool, directory)


def write_sums(tool, directory):
    """Of the first 8 MiB, which all have in whatever shape, where damage might have other data read: SUM-KIND."""
    for kind in (*RESHAPED, "dm"):
        data = open(f"{directory}/data", "rb").read()
        if kind != "dm":
            data = subprocess.run((tool, "assemble", "-r", *KINDS[kind], "--", "cat"), stdout=subprocess.PIPE, check=True, cwd=f"{directory}/{kind}").stdout
        with open(f"{directory}/sum-{kind}", "w") as out:
            out.write(hashlib.md5(data[:8 << 20]).hexdigest() + "\n")


# ---- What tenon says ----

def short(text):
    """The last line says most; what is left out, and the like, comes before."""
    lines = [line.strip() for line in text.strip().splitlines() if not line.startswith("       ")]
    text = " / ".join(lines)
    text = re.sub(r"tenon: (warning: |info: )?", "", text)
    text = re.sub(r"(?<!\w)/[\w/.+-]*/([a-z])\b", r"\1", text)
    text = re.sub(r"[0-9a-f]{8}:[0-9a-f]{8}:[0-9a-f]{8}:[0-9a-f]{8}", "UUID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:]*Z", "TIME", text)
    text = re.sub(r"md/UUID", "md/x", text)
    text = re.sub(r"checksum is [0-9a-f]{8}, expected [0-9a-f]{8}", "checksum is X, expected Y", text)
    return text.replace("|", "/").replace("\t", " ")


def state_of(folder):
    return {name: hashlib.md5(open(f"{folder}/{name}", "rb").read()).hexdigest() for name in sorted(os.listdir(folder))}


def content_of(tenon, name, folder, devices):
    """What is read from it; nothing where it cannot be."""
    out = f"{folder}.out"
    rc, _ = run(tenon, "copy", name, out, "--force", *devices)
    data = open(out, "rb").read() if rc == 0 else None
    if os.path.exists(out):
        os.unlink(out)
    return data


def judge(tenon, folder, kind, devices):
    """Exit status, what is said, and the array's name."""
    if kind == "dm":
        rc, text = run(tenon, "lv", "scrub", "vg/x", *devices)
        return rc, text or "no difference", "vg/x"
    listed = subprocess.run([tenon, "raid", "list", "--json", *devices], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    arrays = json.loads(listed.stdout or "[]")
    if not arrays:
        return 1, "no array: " + listed.stderr.decode(errors="replace").splitlines()[-1] if listed.stderr else "no array", None
    if len(arrays) > 1:
        return 1, "two arrays: " + "; ".join(sorted(array["problem"] or array["state"] for array in arrays)), None
    rc, text = run(tenon, "raid", "assemble", arrays[0]["uuid"], *devices)
    return rc, text, f"md/{arrays[0]['uuid']}"


def one(tenon, directory, row, expected):
    folder = f"{directory}/now"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(f"{directory}/{row.kind}", folder)
    for disk, image in row.images.items():
        open(f"{folder}/{disk}", "wb").write(image)
    before = state_of(folder)
    devices = [word for disk in KINDS[row.kind] for word in ("--device", f"{folder}/{disk}")]
    examined = ""
    if row.kind != "dm":
        rc, text = run(tenon, "raid", "examine", f"{folder}/{list(row.images)[0]}")
        examined = short(text.splitlines()[0]) if rc else "reads it"
        examined = re.sub(r"^[a-z]: (md superblock|bitmap) at byte \d+: ", "", examined)
    rc, text, name = judge(tenon, folder, row.kind, devices)
    wrong = []
    if rc == 1 and row.kind != "dm" and state_of(folder) != before:
        wrong.append("refused, and yet its members were written to")
    # Scrubbed without a member: 3.
    if rc not in (0, 1, 3) or re.search(r"Sanitizer|runtime error|Traceback", text + examined):
        wrong.append(f"exit status {rc}: {text}")
    verdict = short(text)
    if rc != 1 and content_of(tenon, name, folder, devices) != expected[row.kind]:
        verdict += ", other data"
    return examined, ("no: " if rc == 1 else "") + verdict, wrong


def ours(tenon, directory, step):
    failures = 0
    expected = {}
    for kind in KINDS:
        devices = [word for disk in KINDS[kind] for word in ("--device", f"{directory}/{kind}/{disk}")]
        copy = f"{directory}/now"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(f"{directory}/{kind}", copy)
        devices = [word.replace(f"/{kind}/", "/now/") for word in devices]
        _, _, name = judge(tenon, copy, kind, devices)
        expected[kind] = content_of(tenon, name, copy, devices)
        if not expected[kind] or not any(expected[kind]):
            sys.exit(f"{kind}: cannot be read undamaged")
    for row in rows(directory, step):
        examined, verdict, wrong = one(tenon, directory, row, expected)
        failures += len(wrong)
        for problem in wrong:
            print(f"FAILED {row.structure} {row.field} {row.where}: {problem}", file=sys.stderr)
        print("\t".join((row.structure, row.field, row.where, examined, verdict)))
    return failures


# ---- The table ----

def cells(path):
    """By structure, field and where."""
    found = {}
    if path != "-":
        for line in open(path):
            words = line.rstrip("\n").split("\t")
            found[tuple(words[:3])] = words[3:]
    return found


def table(ours_file, theirs_file):
    theirs, last = cells(theirs_file), None
    for key, said in cells(ours_file).items():
        if key[0] != last:
            heading = HEADINGS.get(key[0], "| field | on | `raid examine` | `raid assemble` | `mdadm --examine` | md |")
            print(f"\n## {key[0]}\n\n{heading}\n| --- | --- | --- | --- | --- | --- |")
            last = key[0]
        md = theirs.get(key, ["", ""])
        print("| " + " | ".join([key[1], key[2], *said, *md]) + " |")


def compare(document, ours_file, theirs_file):
    written, structure, failures = {}, None, 0
    for line in open(document):
        if line.startswith("## "):
            structure = line[3:].strip()
        elif line.startswith("| "):
            words = [word.strip() for word in line.strip()[2:-2].split(" | ")] if " |  | " not in line else [word.strip() for word in line.strip().strip("|").split("|")]
            written[(structure, *words[:2])] = words[2:]
    for place, path in ((0, ours_file), (2, theirs_file)):
        for key, said in cells(path).items():
            said = [word.strip() for word in said]
            stands = written.get(key, [None] * 4)[place:place + 2]
            # What md was not asked when the table was made.
            if stands != said and (place == 0 or stands != ["", ""]):
                failures += 1
                print(f"FAILED {' '.join(key)}: {said}, but {document} says {written.get(key)}")
    return failures


def patches(directory, step):
    for row in rows(directory, step):
        print("\t".join((row.structure, row.field, row.where, row.kind)) + "\t" + " ".join(str(word) for patch in row.patches() for word in patch))


if sys.argv[1] == "make":
    make(*sys.argv[2:])
elif sys.argv[1] == "ours":
    sys.exit(ours(*sys.argv[2:]) != 0)
elif sys.argv[1] == "patches":
    patches(*sys.argv[2:])
elif sys.argv[1] == "compare":
    sys.exit(compare(*sys.argv[2:]) != 0)
else:
    table(*sys.argv[2:])
