# SPDX-License-Identifier: BSD-2-Clause
"""Ours and lvm2 side by side over generated names, tags, sizes and metadata; see volume_differential_test.sh.

For each case both are asked to take it, each on a group of its own.
 - What we take, lvm2 must take, too: it checks the group afterwards and goes on changing it.
 - What lvm2 refuses, we refuse.
 - Where we are stricter, the case must be of a kind that STRICTER lists.
Arguments: the command, how many cases of each kind, and the seed.
"""
import os, random, re, struct, subprocess, sys, zlib

TENON = sys.argv[1]
COUNT, SEED = int(sys.argv[2]), int(sys.argv[3])
rnd = random.Random(SEED)
failures = []
loops = []
tried = {}

LVM = """devices { dir="/dev" scan=["/dev"] use_devicesfile=0 filter=[%s"r|.*|"]
obtain_device_list_from_udev=0 external_device_info_source="none" sysfs_scan=0 md_component_detection=0 }
activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
backup { backup=0 archive=0 } global { event_activation=0 use_lvmpolld=0 }"""

def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")

def lvm(*words):
    config = LVM % "".join('"a|^%s$|",' % loop for loop in loops)
    return run("lvm", *words[:1], "--driverloaded", "n", "--config", config, *words[1:])

def attach(*files):
    for name in files:
        loops.append(run("losetup", "-f", "--show", name)[1].strip())

def detach():
    while loops:
        run("losetup", "-d", loops.pop())

def fresh(name, size=64 << 20):
    if os.path.exists(name):
        os.unlink(name)
    with open(name, "wb") as file:
        file.truncate(size)

def tenon(*words):
    return run(TENON, *words)

def compare(kind, case, ours, theirs, stricter=None):
    """ours, theirs: (taken, what was said)."""
    counts = tried.setdefault(kind, [0, 0, 0])
    counts[0] += 1
    counts[1] += ours[0]
    counts[2] += theirs[0]
    if ours[0] and not theirs[0]:
        failures.append("%s %r: we take it, lvm2 says: %s" % (kind, case, theirs[1]))
    if theirs[0] and not ours[0] and not (stricter and stricter(case)):
        failures.append("%s %r: lvm2 takes it, we say: %s" % (kind, case, ours[1]))

def lvm2_agrees(kind, what, only_check=False):
    """lvm2 checks our group and goes on changing it."""
    for words in (["vgck", "vg"], ["lvcreate", "-an", "-Zn", "-Wn", "-l1", "-n", "zz", "vg"],
                  ["lvextend", "-l+1", "vg/zz"], ["lvremove", "-y", "vg/zz"]):
        status, said = lvm(*words)
        if status:
            failures.append("%s: lvm2 %s after %s: %s" % (kind, words[0], what, said))
        if status or only_check:
            return

# ---- Names and tags ----

def name_case():
    pick = rnd.randrange(8)
    if pick == 0:
        return rnd.choice(["snapshot", "pvmove", "a_rimage_0", "b_tdata", "c_pmspare", "d_vorigin", "xsnapshot",
                           "e_corig", "f_cvol", ".", "..", "...", "-a", "a-", "_", "+", "0", "1e3", "id", "status",
                           "segment1", "pv0", "tags", "0x10", "-", "a--b", "A_mlog", "lvol0"])
    if pick == 1:
        return "n" * rnd.choice([119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 200])
    if pick == 2:
        return "h" + "-" * rnd.choice([3, 50, 58, 59, 60, 61, 62, 80])
    letters = "abcXYZ019+_.-" + ("" if pick < 6 else " @/#\"'\\=[]{}\u00e9\u4e2d\t,:!&*")
    return "".join(rnd.choice(letters) for _ in range(rnd.randrange(1, 12)))

def tag_case():
    pick = rnd.randrange(6)
    if pick == 0:
        return rnd.choice(["", "@", "@db", "-x", "a b", "\u00fc", "a\n", "x@y", "a,b", "/", "#", "!", "t" * 1000, "\"", "a'b"])
    letters = "abcXYZ019._-+/=!:&#" + ("" if pick < 4 else " @\"\\'[]{}\u00e9*?~$%^(),;|<>`")
    return "".join(rnd.choice(letters) for _ in range(rnd.randrange(1, 14)))

def longer_in_dm(name):
    return len("vg-" + name.replace("-", "--")) > 127

def names():
    for image in ("ours", "theirs"):
        fresh(image, 256 << 20)
        assert tenon("vg", "create", "vg", image, "--extent-size", "64K")[0] == 0
    cases = sorted({name_case() for _ in range(COUNT)})
    attach("theirs")
    theirs = {}
    for case in cases:
        status, said = lvm("lvcreate", "-an", "-Zn", "-Wn", "-l1", "-n", case, "vg")
        theirs[case] = (status == 0, said)
    detach()
    for case in cases:
        status, said = tenon("lv", "create", "--device", "ours", "--size", "64K", "--", "vg/" + case)
        compare("name", case, (status == 0, said), theirs[case], longer_in_dm)
    attach("ours")
    lvm2_agrees("name", "all names that we take")
    detach()

def tags():
    for image in ("ours", "theirs"):
        fresh(image, 256 << 20)
        assert tenon("vg", "create", "vg", image, "--extent-size", "64K")[0] == 0
    cases = sorted({tag_case() for _ in range(COUNT)})
    attach("theirs")
    lvm("lvcreate", "-an", "-Zn", "-Wn", "-l1", "-n", "x", "vg")
    theirs = {}
    for case in cases:
        status, said = lvm("lvchange", "--addtag", case, "vg/x")
        theirs[case] = (status == 0, said)
    detach()
    for number, case in enumerate(cases):
        status, said = tenon("lv", "create", "--device", "ours", "--size", "64K", "--tag", case, "vg/t%d" % number)
        # lvm2 takes an @ before a tag away
        compare("tag", case, (status == 0, said), theirs[case], lambda tag: tag.startswith("@"))
    attach("ours")
    lvm2_agrees("tag", "all tags that we take")
    detach()

# ---- Sizes ----

def sizes():
    for _ in range(max(4, COUNT // 8)):
        extent = rnd.choice([1 << rnd.randrange(8, 26), 131072 * rnd.randrange(1, 40), 1024 * rnd.randrange(1, 5000)])
        for image in ("ours", "theirs"):
            fresh(image, 300 << 20)
        attach("theirs")
        status, said = lvm("vgcreate", "-s", "%db" % extent, "vg", loops[0])
        theirs = (status == 0, said)
        detach()
        status, said = tenon("vg", "create", "vg", "ours", "--extent-size", "%dB" % extent)
        compare("extent size", extent, (status == 0, said), theirs)
        if status:
            continue
        for number in range(4):
            words = ["lv", "create", "vg/s%d" % number, "--device", "ours", "--size", "%dB" % rnd.randrange(1, 50 << 20)]
            tenon(*words)
        tenon("lv", "resize", "vg/s0", "--device", "ours", "--shrink", "--size", "%dB" % rnd.randrange(1, 90 << 20))
        attach("ours")
        lvm2_agrees("size", "extents of %d" % extent)
        detach()

# ---- Metadata ----

CRC_START = 0xF597A6CF

def crc(data):
    return zlib.crc32(data, CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

def read_text(image):
    with open(image, "rb") as file:
        file.seek(4096)
        header = file.read(512)
        offset, size = struct.unpack_from("<QQ", header, 40)
        file.seek(4096 + offset)
        return file.read(size).rstrip(b"\0").decode()

def put_text(image, text):
    data = text.encode() + b"\0"
    with open(image, "r+b") as file:
        file.seek(4096)
        header = bytearray(file.read(512))
        struct.pack_into("<QQII", header, 40, 512, len(data), crc(data), 0)
        struct.pack_into("<I", header, 0, crc(bytes(header[4:])))
        file.seek(4096)
        file.write(header + data)

def replace_one(pattern, to):
    return lambda text: re.sub(pattern, to, text, count=1)

HISTORY = ('\nhistorical_logical_volumes {\n%s {\nid = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-000009"\n%s}\n}\n')

def edits():
    words = ["READ", "WRITE", "VISIBLE", "PVMOVE", "LOCKED", "FIXED_MINOR", "NOTSYNCED", "REBUILD", "WRITEMOSTLY",
             "HYPER", "RESHAPE", "CACHE_VOL", "MISSING", "ALLOCATABLE", "EXPORTED", "CLUSTERED", "SHARED"]
    some = ", ".join('"%s"' % word for word in rnd.sample(words, rnd.randrange(0, 3)))
    more = (", " + some) if some else ""
    tag = tag_case().replace("\\", "").replace('"', "")
    return rnd.choice([
        ("lv status" + more, replace_one(r'status = \["READ", "WRITE", "VISIBLE"\]', 'status = ["READ", "WRITE", "VISIBLE"%s]' % more)),
        ("pv status" + more, replace_one(r'status = \["ALLOCATABLE"\]', 'status = ["ALLOCATABLE"%s]' % more)),
        ("vg status" + more, replace_one(r'"RESIZEABLE", "READ", "WRITE"', '"RESIZEABLE", "READ", "WRITE"%s' % more)),
        ("flags" + more, replace_one(r'flags = \[\]', 'flags = [%s]' % some)),
        ("vg tag %r" % tag, replace_one(r'extent_size', lambda _: 'tags = ["%s"]\nextent_size' % tag)),
        ("pv tag %r" % tag, replace_one(r'dev_size', lambda _: 'tags = ["%s"]\ndev_size' % tag)),
        ("lv tag %r" % tag, replace_one(r'segment_count', lambda _: 'tags = ["%s"]\nsegment_count' % tag)),
        ("segment type", replace_one(r'type = "striped"', 'type = "%s"' % rnd.choice(["linear", "error", "zero", "hyper", "hyper+X", "free", "striped+X", "striped+RESHAPE"]))),
        ("lock_args", replace_one(r'max_lv', 'lock_args = "1.0.0:x"\nmax_lv')),
        ("lv lock_args", replace_one(r'segment_count', 'lock_args = "1.0.0:9"\nsegment_count')),
        ("name of a volume", replace_one(r'\na \{', '\n%s {' % rnd.choice(["b", "-a", "a" * 123, "x_rimage_0", "A"]))),
        ("history without a chain|vg status.*SHARED", replace_one(r'\n}\n# Gen', HISTORY % (rnd.choice("abq"), "") + "}\n# Gen")),
        ("extent twice", replace_one(r'"pv0", 1\n', '"pv0", 0\n')),
        ("extent beyond the end", replace_one(r'"pv0", 1\n', '"pv0", 99999\n')),
        ("segment_count", replace_one(r'segment_count = 1', 'segment_count = 2')),
        ("gap", replace_one(r'start_extent = 0', 'start_extent = 3')),
        ("max_lv", replace_one(r'max_lv = 0', 'max_lv = %d' % rnd.randrange(1, 5))),
        ("id twice", lambda text: re.sub(r'(\nb \{\nid = ")[^"]*', lambda m: m.group(1) + re.search(r'\na \{\nid = "([^"]*)', text).group(1), text)),
        ("system_id", replace_one(r'max_lv', 'system_id = "other"\nmax_lv')),
        ("lock_type", replace_one(r'max_lv', 'lock_type = "%s"\nmax_lv' % rnd.choice(["none", "dlm", "sanlock"]))),
        ("allocation_policy", replace_one(r'max_lv', 'allocation_policy = "%s"\nmax_lv' % rnd.choice(["normal", "cling", "anywhere", "hyper"]))),
        ("creation_time", replace_one(r'creation_time = \d+\ncreation_host = "[^"]*"\nseg', 'creation_time = 1\nseg')),
    ])

# What forbids changes here and not there: what lvm2 mends in passing; groups that are shared with other hosts.
STRICTER = re.compile("history without a chain|vg status.*SHARED")

def metadata():
    fresh("base")
    assert tenon("vg", "create", "vg", "base")[0] == 0
    for name in "ab":
        assert tenon("lv", "create", "vg/" + name, "--device", "base", "--size", "4M")[0] == 0
    base = read_text("base")
    for _ in range(COUNT):
        what, edit = edits()
        for image in ("ours", "theirs"):
            run("cp", "--sparse=always", "base", image)
            put_text(image, edit(base))
        attach("theirs")
        status, said = lvm("lvcreate", "-an", "-Zn", "-Wn", "-l1", "-n", "new", "vg")
        theirs = (status == 0, said)
        detach()
        status, said = tenon("lv", "create", "vg/new", "--device", "ours", "--size", "4M")
        compare("metadata", what, (status == 0, said), theirs, lambda case: STRICTER.search(case))
        if status == 0 and theirs[0]:
            attach("ours")
            lvm2_agrees("metadata", what, what == "max_lv")
            detach()

try:
    for part in (names, tags, sizes, metadata):
        part()
finally:
    detach()
for kind, counts in tried.items():
    print("%s: %d cases, we take %d, lvm2 takes %d" % (kind, *counts))
for failure in failures:
    print("failed:", failure)
sys.exit(bool(failures))
