#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A random walk over RAID volumes of one group, by us and by the real lvm2 with dm-raid in turn.

volume_raid_walk.py TENON FOLDER SEED STEPS: the guest of volume_raid_walk_test.sh runs commands that come by FOLDER/to, and answers by
FOLDER/from. Its disks are FOLDER/g0 ... g7, PVs, and FOLDER/data.

A step makes a volume and fills it, grows it, gives it another type or number of images, replaces an image, loses a disk and repairs all that was on
it, renames or removes. What volumes hold is known to the byte. After each step both list the same volumes, hidden ones too, with types and
sizes, and read the same; dm-raid fills what is to be filled, and finds no difference in any image then.
"""
import hashlib, json, os, random, select, subprocess, sys, time

TENON, FOLDER, SEED, STEPS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
DISKS, SIZE, MIB = 8, 40 << 20, 1 << 20
VERBOSE = os.environ.get("VERBOSE")
os.environ["TENON_DEVICES"] = ":".join("%s/g%d" % (FOLDER, i) for i in range(DISKS))
rnd = random.Random(SEED)
REDUNDANT = ("raid1", "raid4", "raid5", "raid6", "raid10")

GUEST = r"""
idle() { n=0; while lvs --noheadings -o sync_percent vg 2>/dev/null | grep -qv '100.00\|^ *$'; do n=$((n+1)); [ $n = 600 ] && return 1; sleep 0.1; done; }
on() { vgchange -ay vg && idle; }
off() { vgchange -an vg; echo 3 >/proc/sys/vm/drop_caches; }
raids() { lvs --noheadings -o vg_name,lv_name --separator / -S 'segtype=~^raid&&segtype!~raid0' vg | tr -d ' '; }
check() { r=$(raids); [ -z "$r" ] && return; for i in $r; do lvchange --syncaction check $i || echo "$i: no check"; done; n=0; while lvs --noheadings -o raid_sync_action $r | grep -qv idle; do n=$((n+1)); [ $n = 600 ] && return 1; sleep 0.1; done; lvs --noheadings --separator ' ' -o lv_name,raid_mismatch_count,lv_health_status $r; }
view() { lvs -a --noheadings --units b --nosuffix --separator '|' -o lv_name,segtype,lv_size vg; }
put() { dd if=$DISK8 of=/dev/vg/$1 bs=64k iflag=count_bytes count=$2 conv=notrunc,fsync 2>&1; }
mend() { vgchange -ay --activationmode degraded vg; for i in $(raids); do lvconvert -y --repair $i || return 1; done; idle && vgreduce --removemissing vg && vgextend -y vg $1; }
""".strip().split("\n")


class Guest:
    def __init__(self):
        self.to = os.open(FOLDER + "/to", os.O_RDWR)
        self.back = os.open(FOLDER + "/from", os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""
        self.line(300)
        for line in GUEST:
            self.run(line)

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            if not select.select([self.back], [], [], max(0, end - time.monotonic()))[0]:
                raise SystemExit("the guest does not answer; it said: %r" % self.rest)
            self.rest += os.read(self.back, 65536)
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def run(self, command, seconds=300):
        os.write(self.to, command.encode() + b"\n")
        lines = []
        while True:
            line = self.line(seconds)
            if line.startswith("== "):
                if VERBOSE:
                    print("  lvm2:", command, "->", line[3:], *lines, sep="\n      ")
                return int(line[3:]), [text for text in lines if "WARNING" not in text and "termcap" not in text and "dumb term" not in text]
            lines.append(line)


def tenon(*words):
    done = subprocess.run([TENON, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
    if VERBOSE:
        print("  us:", *words, "->", done.returncode, done.stderr.decode(errors="replace"))
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


guest = Guest()
volumes = {}  # name: what its first bytes are
counts = {}


def wrong(text):
    raise SystemExit("step %s: %s" % (step, text))


def listed():
    rc, out, err = tenon("lv", "list", "vg", "--all", "--json")
    if rc:
        wrong(err)
    return {row["name"]: row for row in json.loads(out)}


def kind_of(name):
    """Its type, and how many parts it has."""
    rows = listed()
    return rows[name]["type"], sum(row.startswith(name + "_rimage_") for row in rows)


def compare():
    rows = listed()
    for name, data in volumes.items():
        rc, out, err = tenon("copy", "vg/" + name, "-")
        if rc or out[:len(data)] != data:
            wrong("%s (%s) is read otherwise by us: %s" % (name, rows.get(name, {}).get("type"), err))
    rc, said = guest.run("on")
    if rc:
        wrong("lvm2 does not activate it: %s" % said)
    rc, said = guest.run("view")
    theirs = sorted({tuple(line.strip().strip("[").replace("]|", "|").split("|")) for line in said})
    ours = sorted((name, row["type"], str(row["size_bytes"])) for name, row in rows.items())
    if rc or theirs != ours:
        wrong("volumes: lvm2 says\n%s\nwe say\n%s" % (theirs, ours))
    for name, data in volumes.items():
        rc, said = guest.run("head -c %d /dev/vg/%s | md5sum" % (len(data), name))
        if rc or said[-1].split()[0] != hashlib.md5(data).hexdigest():
            wrong("%s (%s) is read otherwise by dm-raid: %s" % (name, rows[name]["type"], said))
    rc, said = guest.run("check")
    for line in said:
        if line.split()[1:] != ["0"]:
            wrong("dm-raid checks: %s" % said)
    rc, said = guest.run("off")
    if rc:
        wrong("lvm2 does not let go: %s" % said)


# ---- Steps: each says whether it was done, and what was said ----

def do(mine, words, theirs):
    if mine:
        rc, out, err = tenon(*words)
        return not rc, err
    guest.run("on")
    rc, said = guest.run(theirs)
    guest.run("off")
    return not rc, said


def fill(mine, name):
    data = rnd.randbytes(listed()[name]["size_bytes"])
    with open(FOLDER + "/data", "r+b") as file:
        file.write(data)
    if mine:
        with open(FOLDER + "/content", "wb") as file:
            file.write(data)
        rc, out, err = tenon("copy", FOLDER + "/content", "vg/" + name)
    else:
        guest.run("on")
        rc, err = guest.run("put %s %d" % (name, len(data)))
        guest.run("off")
    if rc:
        wrong("%s cannot be filled: %s" % (name, err))
    volumes[name] = data


def create(mine):
    name, size = "v%d" % step, rnd.randint(2, 6)
    kind, data = rnd.choice([("linear", 1), ("striped", 2), ("striped", 3), ("raid0", 2), ("raid1", 1), ("raid1", 2), ("raid4", 2), ("raid5", 2),
                             ("raid5_n", 3), ("raid6", 3), ("raid10", 2)])
    shape, theirs = [], ""
    if kind == "raid1":
        shape, theirs = ["--mirrors", str(data)], "-m %d" % data
    elif data > 1:
        shape, theirs = ["--stripes", str(data)], "-i %d" % data
    done, said = do(mine, ["lv", "create", "vg/" + name, "--type", kind, "--size", "%dM" % size, *shape],
                    "lvcreate -y --type %s %s -L %dM -n %s vg" % (kind, theirs, size, name))
    if done:
        fill(rnd.random() < 0.5, name)
    return done, said


TAKEOVERS = {"striped": ["raid0", "raid0_meta", "raid4", "raid5_n", "raid10"], "raid0": ["striped", "raid0_meta", "raid4", "raid5_n", "raid10"],
             "raid0_meta": ["striped", "raid0", "raid4"], "raid4": ["raid0", "striped", "raid5_n"], "raid5_n": ["raid0", "striped", "raid4", "raid6_n_6"],
             "raid6_n_6": ["raid5_n"], "raid10": ["raid0", "striped"], "raid5": ["raid6_ls_6"], "raid5_ls": ["raid6_ls_6"], "raid6_ls_6": ["raid5_ls"]}


def convert(mine):
    name = rnd.choice(sorted(volumes))
    kind, images = kind_of(name)
    if kind in ("linear", "raid1"):
        more = rnd.choice([count for count in (0, 1, 2) if count + 1 != max(images, 1)])
        return do(mine, ["lv", "convert", "vg/" + name, "--mirrors", str(more)], "lvconvert -y -m %d vg/%s && idle" % (more, name))
    if kind not in TAKEOVERS:
        return None, ""
    to = rnd.choice(TAKEOVERS[kind])
    # That lvm2 makes by a reshape, and keeps the room for it.
    if not mine and {kind, to} == {"raid4", "raid5_n"}:
        return None, ""
    return do(mine, ["lv", "convert", "vg/" + name, "--type", to], "lvconvert -y --type %s vg/%s && idle" % (to, name))


def extend(mine):
    name = rnd.choice(sorted(volumes))
    # Linux 6.1 does not make copies agree in what a raid10 grows by (docs/raid.md): lvm2 is told to.
    agree = "" if kind_of(name)[0] != "raid10" else " && lvchange --syncaction repair vg/%s && sleep 1 && idle" % name
    return do(mine, ["lv", "extend", "vg/" + name, "--size", "+2M"], "lvextend -y -L +2M vg/%s && idle%s" % (name, agree))


def write(mine):
    fill(mine, rnd.choice(sorted(volumes)))
    return True, ""


def rename(mine):
    name, new = rnd.choice(sorted(volumes)), "n%d" % step
    done, said = do(mine, ["lv", "rename", "vg/" + name, new], "lvrename vg/%s vg/%s" % (name, new))
    if done:
        volumes[new] = volumes.pop(name)
    return done, said


def remove(mine):
    name = rnd.choice(sorted(volumes))
    done, said = do(mine, ["lv", "remove", "vg/" + name, "--yes"], "lvremove -f -y vg/" + name)
    if done:
        del volumes[name]
    return done, said


def redundant(name):
    return kind_of(name)[0].split("_")[0] in REDUNDANT


def place_of(name, part):
    rc, out, err = tenon("lv", "show", "vg/%s_rimage_%d" % (name, part), "--json")
    return json.loads(out)["segments"][0]["areas"][0].rpartition("(")[0]


def replace(mine):
    names = [name for name in sorted(volumes) if redundant(name)]
    if not names:
        return None, ""
    name = rnd.choice(names)
    path = place_of(name, rnd.randrange(kind_of(name)[1]))
    return do(mine, ["lv", "convert", "vg/" + name, "--replace", path],
              "lvconvert -y --replace $DISK%s vg/%s && idle" % (path[-1], name))


def called_otherwise(name):
    """lvm2 leaves parts their names where it makes raid10 of raid0, and cannot repair that: its new part is to have the name of one that stays."""
    rc, out, err = tenon("lv", "show", "vg/" + name, "--json")
    areas = json.loads(out)["segments"][0]["areas"]
    return any(area != "%s_rimage_%d(0)" % (name, i) for i, area in enumerate(areas))


def lose(mine):
    """A disk is an empty one from now on, and what was on it is made anew."""
    if not volumes or not all(redundant(name) for name in volumes):
        return None, ""
    mine = mine or any(called_otherwise(name) for name in volumes)
    number = rnd.randrange(DISKS)
    path = "%s/g%d" % (FOLDER, number)
    os.truncate(path, 0)
    os.truncate(path, SIZE)
    if not mine:
        rc, said = guest.run("mend $DISK%d" % number)
        guest.run("off")
        if rc:
            wrong("lvm2 does not repair what was on g%d: %s" % (number, said))
        return True, said
    for words in [["lv", "repair", "vg/" + name] for name in sorted(volumes)] + [["vg", "reduce", "vg", "--remove-missing"], ["vg", "extend", "vg", path]]:
        rc, out, err = tenon(*words)
        if rc:
            wrong("%s: %s" % (" ".join(words), err))
    return True, ""


step = "at the beginning"
rc, out, err = tenon("vg", "create", "vg", *os.environ["TENON_DEVICES"].split(":"), "--extent-size", "1M")
if rc:
    raise SystemExit(err)
for step in range(STEPS):
    mine = rnd.random() < 0.5
    steps = [create] * (4 if len(volumes) < 4 else 0)
    if volumes:
        steps += [convert] * 5 + [extend, rename, write, replace, replace, lose, lose] + [remove] * (1 if len(volumes) < 4 else 4)
    kind = rnd.choice(steps)
    done, said = kind(mine)
    if done is None:
        continue
    if VERBOSE:
        print(step, "we" if mine else "lvm2", kind.__name__, "" if done else "refused: %s" % said, flush=True)
    count = counts.setdefault(kind.__name__, [0, 0, 0, 0])
    count[(0 if mine else 2) + (not done)] += 1
    compare()
os.write(guest.to, b"QUIT\n")
print("%d steps from seed %d, done/refused by us, by lvm2:" % (STEPS, SEED))
for kind, count in sorted(counts.items()):
    print("  %-8s %d/%d %d/%d" % (kind, *count))
if sum(count[0] + count[2] for count in counts.values()) < STEPS / 3:
    raise SystemExit("too few steps were done")
