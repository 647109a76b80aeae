#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A random walk over one array, by us and by the real md in turn.

raid_walk.py TOOL FOLDER SEED EPISODES STEPS: the guest of raid_walk_test.sh runs commands that come by FOLDER/to, and
answers by FOLDER/from. Its disks are FOLDER/g0 ... g8, and FOLDER/data. FOLDER/played has a line for each episode that was played. Exit
status 3: the guest does not answer any more; with a new one, the same command goes on behind that episode.

An episode makes an array of random level and shape, and fills it; each step changes it, by us or by md. What it has to hold is known
to the byte, since each step flushes what it writes before it stops or crashes. After each step both read it, on copies: whole; without members
that it can be without; and one of them carries on what is to be carried on, checks parity, and reads again. Both have to say the same of
shape, size and members.
"""
import fcntl, hashlib, os, random, re, select, subprocess, sys, time

TOOL, FOLDER, SEED, EPISODES, STEPS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
DISKS = 9
MIB = 1 << 20
VERBOSE = os.environ.get("VERBOSE")
WHO = os.environ.get("WHO")  # who takes all steps; else it is drawn

GUEST = r"""
md=/sys/block/md0/md
echo 4000000 >/proc/sys/dev/raid/speed_limit_max; echo 4000000 >/proc/sys/dev/raid/speed_limit_min
idle() { n=0; until { read -r a <$md/sync_action; [ "$a" = idle ] && { read -r p <$md/reshape_position; [ "$p" = none ]; }; } 2>/dev/null || [ ! -e $md/sync_action ] || [ $n = 1200 ]; do n=$((n+1)); sleep 0.05; done; }
held() { n=0; while [ $n -lt 60 ]; do read -r a <$md/sync_action; [ "$a" = idle ] && return 0; read -r c x <$md/sync_completed; [ "$c" != none ] && [ "$c" -ge $1 ] && return 0; n=$((n+1)); sleep 0.05; done; }
stop() { mdadm --wait-clean /dev/md0 >/dev/null 2>&1; n=0; until mdadm --stop /dev/md0 >/dev/null 2>&1 || [ $n = 100 ]; do n=$((n+1)); sleep 0.05; done; [ ! -e $md/array_state ]; }
quiet() { [ ! -e /sys/block/md0 ] || stop; echo 3 >/proc/sys/vm/drop_caches; }
view() { for s in level layout chunk_size raid_disks degraded resync_start reshape_position consistency_policy; do v=-; read -r v 2>/dev/null <$md/$s; echo "$s $v"; done; read -r v </sys/block/md0/size; echo "size $v"; for d in $md/dev-*; do read -r v <$d/slot; read -r w <$d/state; echo "dev ${d##*/dev-ubd} $v $w"; done; }
check() { n=0; until echo check 2>/dev/null >$md/sync_action || [ $n = 200 ]; do n=$((n+1)); idle; sleep 0.05; done; idle; cat $md/mismatch_cnt; }
write() { dd if=$DISK9 of=/dev/md0 bs=64k iflag=skip_bytes,count_bytes oflag=seek_bytes skip=$1 seek=$1 count=$2 conv=notrunc,fsync 2>&1; }
""".strip().split("\n")


class Wrong(Exception):
    pass


class Stuck(Exception):
    """md does not end what it does: the episode ends, and says nothing."""


class Lost(Stuck):
    """The guest does not answer."""


class Guest:
    def __init__(self):
        self.to = os.open(FOLDER + "/to", os.O_RDWR)
        self.back = os.open(FOLDER + "/from", os.O_RDWR | os.O_NONBLOCK)
        self.rest, self.last = b"", "its boot"
        self.line(120)
        for line in GUEST:
            self.run(line)

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            if not select.select([self.back], [], [], max(0, end - time.monotonic()))[0]:
                raise Lost("the guest does not answer to %s; it said: %r" % (self.last, self.rest))
            self.rest += os.read(self.back, 65536)
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def run(self, command, seconds=240):
        command = command.replace("\n", "; ")
        if VERBOSE:
            print("      md#", command)
        self.last, begun = command, time.monotonic()
        os.write(self.to, command.encode() + b"\n")
        lines = []
        while True:
            line = self.line(seconds)
            if line.startswith("== "):
                if VERBOSE:
                    print("      md: %.2f s" % (time.monotonic() - begun))
                return int(line[3:]), lines
            lines.append(line)
            if VERBOSE:
                print("      md:", line)


def ours(*words, out=False):
    if VERBOSE:
        print("      us#", " ".join(map(str, words)))
    done = subprocess.run([TOOL, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    said = done.stderr.decode(errors="replace")
    if done.returncode not in (0, 1):
        raise Wrong("raid_tool ended with %d: %s\n%s" % (done.returncode, " ".join(map(str, words)), said))
    return done.returncode, (done.stdout if out else done.stdout.decode(errors="replace")), said


def copy(source, target):
    """All bytes, holes too; the target keeps its inode, since the guest has it open."""
    with open(source, "rb") as src, open(target, "r+b") as dst:
        size = os.fstat(src.fileno()).st_size
        dst.truncate(0)
        dst.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(src.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(src.fileno(), at, os.SEEK_HOLE)
            os.lseek(src.fileno(), at, os.SEEK_SET)
            os.lseek(dst.fileno(), at, os.SEEK_SET)
            while at < end:
                piece = os.read(src.fileno(), min(MIB, end - at))
                os.write(dst.fileno(), piece)
                at += len(piece)


class Walk:
    def __init__(self, guest, rng):
        self.guest, self.rng = guest, rng
        self.history = []

    def say(self, text):
        self.history.append(text)
        if VERBOSE:
            print("   ", text, flush=True)

    # ---- Files: w0 ... are the array's, g0 ... the guest's, c0 ... copies for us ----
    def w(self, i):
        return "%s/w%d" % (FOLDER, i)

    def blank(self, i, garbage):
        size = os.path.getsize("%s/g%d" % (FOLDER, i))
        with open(self.w(i), "wb") as file:
            if garbage:
                file.write(self.rng.randbytes(size))
            file.truncate(size)

    def lend(self, indexes):
        """Gives the guest these files as its disks."""
        self.guest.run("quiet")
        for i in indexes:
            copy(self.w(i), "%s/g%d" % (FOLDER, i))

    def take_back(self, indexes):
        for i in indexes:
            copy("%s/g%d" % (FOLDER, i), self.w(i))

    def superblocks(self, name):
        """What may be one, at either end."""
        with open(name, "rb") as file:
            head = file.read(8192)
            file.seek(-131072, os.SEEK_END)
            return head + file.read()

    def cut_off(self, indexes):
        """The disks as they are now, while md runs: one after the other, so that a resync that ends meanwhile would leave disks of two times, which no
        crash does. They are of one if no superblock has changed."""
        for _ in range(50):
            self.take_back(indexes)
            if all(self.superblocks("%s/g%d" % (FOLDER, i)) == self.superblocks(self.w(i)) for i in indexes):
                return
            time.sleep(0.2)
        raise Stuck("md goes on writing superblocks")

    def copies(self, indexes):
        names = []
        for i in indexes:
            name = "%s/c%d" % (FOLDER, i)
            open(name, "ab").close()
            copy(self.w(i), name)
            names.append(name)
        return names

    def disks(self, indexes):
        return " ".join("$DISK%d" % i for i in indexes)

    # ---- What it is made of ----
    def create(self):
        rng = self.rng
        self.level = rng.choice([1] * 4 + [4] * 2 + [5] * 7 + [6] * 6 + [10] * 5 + [0, "linear"])
        least = {1: 2, 4: 3, 5: 3, 6: 4, 10: 2, 0: 1, "linear": 1}[self.level]
        self.count = rng.randint(max(least, 2), 6 if self.level != 1 else 4)
        self.parity = self.level in (4, 5, 6)
        self.metadata = rng.choice(["1.2", "1.2", "1.2", "1.1", "1.0"])
        self.policy = "resync"
        self.chunk = 1 << rng.randint(12, 19)
        self.layout = None
        if self.level not in (0, "linear"):
            self.policy = rng.choice(["resync", "bitmap", "bitmap"])
        if self.level == 5:
            self.policy = rng.choice(["resync", "bitmap", "ppl", "journal"])
            self.layout = rng.choice([None, None, "left-symmetric", "left-asymmetric", "right-symmetric", "right-asymmetric",
                                      "parity-first", "parity-last"])
            if self.policy == "ppl" and self.metadata == "1.0":
                self.metadata = "1.2"
        if self.level == 6:
            self.policy = rng.choice(["resync", "bitmap", "journal"])
            self.layout = rng.choice([None, None, "left-asymmetric", "right-symmetric", "right-asymmetric", "parity-first", "parity-last",
                                      "left-symmetric-6", "right-asymmetric-6", "ddf-zero-restart", "ddf-N-restart", "ddf-N-continue"])
        if self.level == 4 and rng.random() < 0.3:
            self.policy = "journal"
        if self.level == 10:
            copies = rng.randint(2, min(3, self.count))
            self.layout = rng.choice("nfo") + str(copies)
        maker = rng.choice(["md", "us"])
        if maker == "md" and rng.random() < 0.15 and self.policy in ("resync", "bitmap"):
            self.metadata = "0.90"
        spares = 1 if self.level not in (0, "linear") and rng.random() < 0.2 and self.policy != "journal" else 0
        self.members = list(range(self.count))
        self.spares = list(range(self.count, self.count + spares))
        self.journal = [self.count] if self.policy == "journal" else []
        self.pool = [i for i in range(DISKS) if i not in self.members + self.spares + self.journal]
        self.away = []  # former members, which are stale
        self.older = []  # of these, what left before the last reshape
        self.replacing = {}  # a member: what replaces it
        for i in range(DISKS):
            self.blank(i, False)
        bitmap_chunk = rng.choice([None, 4096 << rng.randint(0, 8)])
        if maker == "us":
            words = ["create", "walk", "-l", self.level, "-m", self.metadata]
            if self.layout:
                words += ["-L", self.layout]
            if self.level not in (1, "linear"):
                words += ["-k", self.chunk]
            words += {"resync": ["-B"], "bitmap": ["-b", bitmap_chunk or 0], "ppl": ["-C", "ppl"],
                      "journal": ["-j"] + [self.w(i) for i in self.journal]}[self.policy]
            if self.policy == "bitmap" and self.metadata != "0.90" and rng.random() < 0.3:
                words += ["-c"]
            for i in self.spares:
                words += ["-s", self.w(i)]
            words += [self.w(i) for i in self.members]
            self.say("us: " + " ".join(map(str, words)))
            rc, _, said = ours(*words, "--", "wait")
            if rc:
                raise Wrong("cannot be created: " + said)
        else:
            words = "--level=%s --metadata=%s --raid-devices=%d" % (self.level, self.metadata, self.count)
            if self.level not in (1, "linear"):
                words += " --chunk=%d" % (self.chunk >> 10)
            if self.layout:
                words += " --layout=" + self.layout
            if self.policy == "bitmap":
                words += " --bitmap=internal" + (" --bitmap-chunk=%dK" % (bitmap_chunk >> 10) if bitmap_chunk else "")
            elif self.policy == "ppl":
                words += " --consistency-policy=ppl"
            elif self.policy == "journal":
                words += " --write-journal " + self.disks(self.journal)
            elif self.level not in (0, "linear"):
                words += " --bitmap=none"
            if self.metadata in ("1.1", "1.2") and self.policy != "ppl" and rng.random() < 0.4:
                words += " --data-offset=%d" % rng.choice([512, 1024, 1028, 2048])
            if rng.random() < 0.3:
                words += " --assume-clean"
            if self.spares:
                words += " --spare-devices=1"
            self.say("md: create " + words)
            self.lend(range(DISKS))
            rc, lines = self.guest.run("yes | mdadm --create /dev/md0 --run --homehost=walk --name=walk %s %s 2>&1 && idle" %
                                       (words, self.disks(self.members + self.spares)))
            if rc:
                raise Wrong("md cannot create: " + "\n".join(lines))
            self.guest.run("stop")
            self.take_back(range(DISKS))
        self.model = bytearray()
        self.working = {i: i for i in self.members}
        self.reshaping = False  # one is to be carried on: it is not held by what md does next, see divided()
        self.dirty = False  # parity is to be made right, and no member may be lost before that
        self.learn_size()
        self.do("us" if maker == "md" else "md", "fill", [(0, len(self.model))], crash=False)

    def learn_size(self):
        """What is new is unknown, until it is written."""
        out, said, _ = self.our_bytes(self.all())
        if out is None:
            raise Wrong("cannot be read: " + said)
        if len(out) < len(self.model):
            raise Wrong("it has become smaller: %d, was %d" % (len(out), len(self.model)))
        new = len(self.model)
        self.model += out[new:]
        return new

    def all(self):
        return self.members + self.spares + self.journal

    def tolerance(self):
        return {1: self.count - 1, 4: 1, 5: 1, 6: 2, 10: 1}.get(self.level, 0)

    # ---- One change ----
    def may_crash(self, absent=0):
        """Whether a crash loses nothing: parity that is not known to be right, and a member missing, is what both refuse."""
        return not self.parity or self.policy in ("ppl", "journal") or not (self.lost() or absent)

    def do(self, who, what, writes, crash, before_us=(), before_md="", after_us=(), after_md="", without=(), extra=(), present=None, loses=0):
        """Assembles, does what was before, writes, does what is after, flushes, and ends cleanly or not. False: it was refused."""
        present = [i for i in (present or self.all()) if i not in without]
        crash = crash and self.may_crash(loses)
        self.say("%s: %s%s%s%s" % (who, what, " of %s" % present if without else "", " writes %s" % writes if writes else "",
                                   ", crash" if crash else ""))
        before = bytes(self.model)
        for at, length in writes:
            self.model[at:at + length] = self.rng.randbytes(length)
        with open(FOLDER + "/data", "r+b") as file:
            for at, length in writes:
                file.seek(at)
                file.write(self.model[at:at + length])
        if who == "us":
            words = ["assemble", *[self.w(i) for i in present], "--", *before_us]
            for at, length in writes:
                words += ["put", at, length, FOLDER + "/data"]
            words += ["flush", *after_us]
            if crash:
                words += ["crash"]
            rc, out, said = ours(*words)
            self.said = said
        else:
            self.lend(present + list(extra))
            rc, lines = self.guest.run("mdadm --assemble --run /dev/md0 %s 2>&1; [ -e $md/array_state ] && read -r a <$md/array_state && [ $a != inactive ]" %
                                       self.disks(present))
            if not rc:
                self.guest.run("echo 100 >$md/safe_mode_delay") if crash else None
                if before_md:
                    rc, lines = self.guest.run(before_md)
            if not rc:
                for at, length in writes:
                    rc, lines = self.guest.run("write %d %d" % (at, length))
                    if rc:
                        raise Wrong("md cannot write: " + "\n".join(lines))
                if after_md:
                    rc, lines = self.guest.run(after_md)
            if crash and not rc:
                self.cut_off(present + list(extra))
            stopped, _ = self.guest.run("stop")
            if stopped:
                raise Stuck("md cannot stop: " + "\n".join(self.guest.run("cat /proc/mdstat; dmesg | tail -n 30")[1]))
            if not crash or rc:
                self.take_back(present + list(extra))
            self.said = "\n".join(lines)
        if not rc and crash and self.parity and self.policy not in ("ppl", "journal"):
            self.dirty = True
        if rc:
            self.say("   refused: " + self.said.strip().replace("\n", " | "))
            self.refused_writes(before)
            return False
        return True

    def refused_writes(self, before):
        """Steps before the one that was refused may have been done: what is there says whether the writes were."""
        for candidate in (bytes(self.model), before):
            for who in ("us",):
                _, digest = self.our_view(self.all(), quietly=True)
                if digest == hashlib.md5(candidate).hexdigest():
                    self.model = bytearray(candidate)
                    return
        self.model = bytearray(before)

    def extents(self):
        rng, total = self.rng, len(self.model) // 512
        result = []
        for _ in range(rng.randint(1, 4)):
            length = rng.choice([1, 7, 8, 16, 129, 256, 700, 1300])
            if rng.random() < 0.5:
                length = max(8, length // 8 * 8)
            length = min(length, total)
            at = rng.randrange(0, total - length + 1)
            if rng.random() < 0.5:
                at = at // 8 * 8
            result.append((at * 512, length * 512))
        return result

    # ---- Both views ----
    def our_bytes(self, indexes):
        """Reads without writing; what a log has is carried out on copies."""
        words = ["-r", *[self.w(i) for i in indexes]]
        rc, out, said = ours("assemble", *words, "--", "cat", out=True)
        if rc and re.search("journal|log", said):
            words = ["-n", *self.copies(indexes)]
            rc, out, said = ours("assemble", *words, "--", "cat", out=True)
        return None if rc else out, said, words

    def our_view(self, indexes, quietly=False):
        out, said, words = self.our_bytes(indexes)
        if out is None:
            return said, None
        digest = hashlib.md5(out).hexdigest()
        if quietly:
            return None, digest
        rc, status, said = ours("assemble", *words, "--", "status")
        if rc:
            raise Wrong("its status cannot be had: " + said)
        in_sync = {}
        for line in status.splitlines()[1:]:
            match = re.match(r"\s+\S*/[wc](\d+): in sync, role (-?\d+)", line)
            if match:
                in_sync[int(match[1])] = int(match[2])
        return {"in sync": in_sync, "size": len(out), "raw": status}, digest

    def md_view(self, indexes):
        self.lend(indexes)
        rc, lines = self.guest.run("mdadm --assemble --readonly --run /dev/md0 %s 2>&1; [ -e $md/array_state ] && read -r a <$md/array_state && [ $a != inactive ]" % self.disks(indexes))
        if rc:
            self.guest.run("quiet")
            return "\n".join(lines), None
        rc, lines = self.guest.run("view")
        read = "md5sum </dev/md0"
        if self.divided(dict(line.partition(" ")[::2] for line in lines)):
            read = "stop; mdadm --assemble --run /dev/md0 %s >/dev/null 2>&1; idle; head -c %d /dev/md0 | md5sum" % (
                self.disks(indexes), len(self.model))
        lines.append("sum " + self.guest.run(read)[1][-1])
        self.guest.run("stop")
        view, in_sync = {"raw": "\n".join(lines)}, {}
        for line in lines:
            key, _, value = line.partition(" ")
            if key == "dev":
                letter, slot, state = value.split()
                if "in_sync" in state and slot.isdigit():
                    in_sync[ord(letter) - ord("a")] = int(slot)
            else:
                view[key] = value
        view["in sync"] = in_sync
        view["size"] = int(view["size"]) * 512
        return view, view["sum"].split()[0]

    def divided(self, view):
        """Whether a reshape stands within a stripe of the old shape. Linux since 6.0 lets a read or write of what is left of that one wait until
        the reshape is past it, for ever where none is running; a read of all is had when it was carried on, then (these are copies)."""
        if view.get("reshape_position", "-") in ("none", "-"):
            return False
        old = [int(re.sub(r".*\((\d+)\)", r"\1", view[key])) for key in ("raid_disks", "chunk_size")]
        return int(view["reshape_position"]) * 512 % self.stripe(*old) != 0

    def stripe(self, disks, chunk):
        return (disks - (2 if self.level == 6 else 1)) * chunk

    def compare(self, indexes, what, needed):
        expected = hashlib.md5(self.model).hexdigest()
        us, our_sum = self.our_view(indexes)
        md, md_sum = self.md_view(indexes)
        if our_sum is None and md_sum is None and not needed:
            return None
        if our_sum is None:
            raise Wrong("%s: we refuse, and md does not: %s\n%s" % (what, us, md))
        if md_sum is None and self.dirty and not needed and our_sum == expected:
            # The member without which we start had only parity; md asks that of members that are there.
            return None
        if md_sum is None:
            raise Wrong("%s: md refuses, and we do not: %s\n%s\n%s" % (what, md, us["raw"], "\n".join(self.guest.run("dmesg | tail -n 12")[1])))
        text = "\nours: %s\nmd's: %s" % (us["raw"], md["raw"])
        if us["size"] != md["size"]:
            raise Wrong("%s: sizes differ: ours %d, md's %d%s" % (what, us["size"], md["size"], text))
        if us["in sync"] != md["in sync"]:
            raise Wrong("%s: other members in sync: ours %s, md's %s%s" % (what, us["in sync"], md["in sync"], text))
        if our_sum != expected or md_sum != expected:
            raise Wrong("%s: other data:%s%s; of %d%s" % (what, "" if our_sum == expected else " we read other data",
                        "" if md_sum == expected else " md reads other data", len(self.model), text))
        self.working = us["in sync"]
        self.reshaping = md["reshape_position"] not in ("none", "-")
        return us

    def carry_on(self, who):
        """On copies, all that is due is carried on, and checked."""
        indexes = self.all()
        if self.level in (0, "linear"):
            return
        expected = hashlib.md5(self.model).hexdigest()
        if who == "us":
            names = self.copies(indexes)
            rc, out, said = ours("assemble", *names, "--", "wait", "check", "wait", "status")
            if rc:
                raise Wrong("we cannot carry it on: " + said)
            found = re.search(r"mismatches (\d+)", out)
            if not found or found[1] != "0":
                raise Wrong("we carried it on, and it differs: " + out)
            rc, data, said = ours("assemble", "-r", *names, "--", "cat", out=True)
            if rc or hashlib.md5(data[:len(self.model)]).hexdigest() != expected:
                raise Wrong("we carried it on, and it has other data: %s\n%s" % (out, said))
        else:
            self.lend(indexes)
            rc, lines = self.guest.run("mdadm --assemble --run /dev/md0 %s 2>&1; idle; cat $md/degraded" % self.disks(indexes))
            degraded = lines[-1] if lines else "?"
            rc, lines = self.guest.run("check; head -c %d /dev/md0 | md5sum; cat /proc/mdstat" % len(self.model))
            self.guest.run("stop")
            if len(lines) < 2 or lines[0] != "0":
                raise Wrong("md carried it on, and it differs: " + "\n".join(lines))
            if lines[1].split()[0] != expected:
                raise Wrong("md carried it on, and it has other data (degraded %s): %s" % (degraded, "\n".join(lines)))

    def judge(self):
        rng = self.rng
        self.compare(self.all(), "whole", True)
        self.older = [i for i in self.older if i in self.away]
        if self.away and rng.random() < 0.5:
            stale = [i for i in self.away if i not in self.older]
            self.compare(self.all() + stale, "with the stale ones %s" % stale, True)
            # mdadm refuses a set with one of an older shape; we leave it out.
            us, our_sum = self.our_view(self.all() + self.away) if self.older else ("", None)
            if self.older and our_sum != hashlib.md5(self.model).hexdigest():
                raise Wrong("with those of an older shape, %s: we read other data: %s" % (self.older, us))
        working = self.working
        for _ in range(2 if self.tolerance() and len(working) > 1 else 0):
            gone = rng.sample(sorted(working), rng.randint(1, min(self.tolerance(), len(working) - 1)))
            rest = [i for i in self.all() if i not in gone]
            self.compare(rest, "without %s" % gone, False)
        self.working = working
        carrier = rng.choice(["us", "md"])
        self.carry_on(WHO or carrier)

    # ---- Steps ----
    def step_write(self, who, crash):
        self.do(who, "write", self.extents(), crash)

    def lost(self):
        return self.count - len(set(self.working.values()))

    def step_fail(self, who, crash):
        if self.dirty:
            return self.step_continue(who, False)
        if not self.tolerance() or self.lost() >= self.tolerance() or self.level == 10 and self.lost():
            return self.step_write(who, crash)
        gone = self.rng.choice(sorted(self.working))
        freeze_us, freeze_md = (["freeze"], "echo frozen >$md/sync_action; ") if self.rng.random() < 0.5 and not self.reshaping else ([], "")
        done = self.do(who, "fail %d%s" % (gone, " frozen" if freeze_us else ""), self.extents(), crash,
                       loses=1, before_us=[*freeze_us, "fail", self.w(gone), "remove", self.w(gone)],
                       before_md="%smdadm /dev/md0 --fail $DISK%d 2>&1 && for i in 1 2 3 4 5 6 7 8 9; do mdadm /dev/md0 --remove $DISK%d 2>&1 && break; sleep 0.1; done" % (freeze_md, gone, gone))
        if done:
            self.drop(gone)

    def drop(self, gone):
        for some in (self.members, self.spares):
            if gone in some:
                some.remove(gone)
        self.away.append(gone)

    def step_absent(self, who, crash):
        if self.dirty:
            return self.step_continue(who, False)
        if not self.tolerance() or self.lost() >= self.tolerance() or self.level == 10 and self.lost():
            return self.step_write(who, crash)
        gone = self.rng.choice(sorted(self.working))
        if self.do(who, "without %d" % gone, self.extents(), crash, without=[gone], loses=1):
            self.drop(gone)

    def part(self):
        """How a rebuild ends: to the end, or held at a part."""
        if self.rng.random() < 0.5:
            return ["wait"], "idle", "to the end"
        percent = self.rng.choice([10, 30, 60])
        sectors = self.rng.choice([1024, 2048, 4096])
        return ["until", percent], "held %d" % sectors, "up to %d%%/%d" % (percent, sectors)

    def step_add(self, who, crash):
        rng = self.rng
        if self.level in (0, "linear") or not (self.away or self.pool):
            return self.step_write(who, crash)
        if self.away and rng.random() < 0.7:
            new, kind = rng.choice(self.away), "stale"
        else:
            source = self.away + self.pool
            new, kind = rng.choice(source), "garbage"
            self.blank(new, True)
            if new in self.away:
                self.away.remove(new)
                self.pool.append(new)
        us, md, how = self.part()
        if self.reshaping:
            us, md, how = ["wait"], "idle", "to the end"
        hold = md.split()[-1] if md.startswith("held") else "max"
        done = self.do(who, "add %s %d, %s" % (kind, new, how), self.extents(), crash,
                       before_us=(["rate", "1M"] if us[0] == "until" else []) + ["add", self.w(new)],
                       before_md="echo frozen >$md/sync_action; mdadm /dev/md0 --add $DISK%d 2>&1 && { echo %s >$md/sync_max; echo idle >$md/sync_action; }" % (new, hold),
                       after_us=us, after_md="sleep 0.1; %s" % md, extra=[new])
        for some in (self.away, self.pool):
            if done and new in some:
                some.remove(new)
        if done:
            self.members.append(new)

    def step_replace(self, who, crash):
        rng = self.rng
        if not self.tolerance() or self.lost() or not self.pool or self.metadata == "0.90" or self.journal and who == "us":
            return self.step_write(who, crash)
        old, new = rng.choice(sorted(self.working)), rng.choice(self.pool)
        self.blank(new, True)
        us, md, how = self.part()
        hold = md.split()[-1] if md.startswith("held") else "max"
        done = self.do(who, "replace %d with %d, %s" % (old, new, how), self.extents(), crash,
                       before_us=(["rate", "1M"] if us[0] == "until" else []) + ["replace", self.w(old), self.w(new)],
                       before_md=("echo frozen >$md/sync_action; mdadm /dev/md0 --add-spare $DISK%d 2>&1 && mdadm /dev/md0 --replace $DISK%d --with $DISK%d 2>&1 && " +
                                  "{ echo %s >$md/sync_max; echo idle >$md/sync_action; }") % (new, old, new, hold),
                       after_us=us, after_md="sleep 0.1; %s" % md, extra=[new])
        if done:
            self.pool.remove(new)
            self.members.append(new)
            self.replacing[old] = new
            self.end_replacing()

    def end_replacing(self):
        """When the new one has all, the old one is a former member: one that was held may be carried on within any later step, also before
        a reshape, and then md's own old one, too, is of an older shape."""
        view, digest = self.our_view(self.all()) if self.replacing else ({}, None)
        for old, new in list(self.replacing.items()) if digest else []:
            if old not in self.members or new not in self.members:
                del self.replacing[old]
            elif new in view["in sync"] and old not in view["in sync"]:
                del self.replacing[old]
                self.drop(old)

    def step_bitmap(self, who, crash):
        if self.level in (0, "linear") or self.policy not in ("resync", "bitmap") or self.metadata == "0.90":
            return self.step_write(who, crash)
        add = self.policy == "resync"
        chunk = 4096 << self.rng.randint(1, 8)
        if self.do(who, "bitmap %s" % (chunk if add else "none"), self.extents(), crash,
                   before_us=["wait", "bitmap", chunk if add else "none"],
                   before_md="idle; mdadm --grow /dev/md0 --bitmap=%s 2>&1" % ("internal --bitmap-chunk=%dK" % (chunk >> 10) if add else "none")):
            self.policy = "bitmap" if add else "resync"

    def step_continue(self, who, crash):
        done = self.do(who, "carried on", self.extents(), crash, before_us=["wait"], before_md="idle", after_us=["wait"], after_md="idle")
        self.dirty = self.dirty and (crash or not done)

    def step_reshape(self, who, crash):
        rng = self.rng
        if not self.parity or self.lost() or self.metadata in ("1.0", "0.90") or self.policy in ("ppl", "journal"):
            return self.step_continue(who, crash)
        us, md, how = self.part()
        # Of its first part mdadm keeps a copy, for which it waits.
        md = md and re.sub(r"held \d+", "held 4096", md)
        hold = md.split()[-1] if md.startswith("held") else "max"
        kind = rng.choice(["devices", "chunk"])
        extra = []
        add_us, add_md = [], ""
        if kind == "devices":
            if not self.pool or self.count >= 7:
                return self.step_continue(who, crash)
            new = rng.choice(self.pool)
            self.blank(new, True)
            extra = [new]
            add_us, add_md = ["add", self.w(new)], "mdadm /dev/md0 --add $DISK%d 2>&1 && " % new
            words_us, words_md = ["devices", self.count + 1], "--raid-devices=%d" % (self.count + 1)
        else:
            chunk = self.chunk * 2 if self.chunk < 65536 or rng.random() < 0.3 and self.chunk < MIB // 2 else self.chunk // 2
            words_us, words_md = ["chunk", chunk], "--chunk=%d" % (chunk >> 10)
        writes = self.extents()
        if who == "md" and hold != "max":
            # None that has to wait for what is held.
            stripe, at = self.stripe(self.count, self.chunk), int(hold) * 512 * self.stripe(self.count + len(extra), 1)
            at -= at % stripe
            writes = [(begin, length) for begin, length in writes if begin + length <= at or begin >= at + stripe]
        done = self.do(who, "reshape %s, %s" % (words_us, how), writes, crash,
                       before_us=["wait", *(["rate", "1M"] if us[0] == "until" else []), *add_us, *words_us],
                       before_md="idle; %s { echo %s >$md/sync_max; mdadm --grow /dev/md0 %s 2>&1; }" % (add_md, hold, words_md),
                       after_us=us, after_md="sleep 0.1; " + md, extra=extra)
        if kind == "devices":
            # Whether it was begun, its superblock says.
            rc, out, said = ours("assemble", "-r", *[self.w(i) for i in self.all() + extra], "--", "status")
            if not rc:
                self.pool.remove(extra[0])
                self.members.append(extra[0])
                self.count = int(re.search(r"\d+ of (\d+)", out)[1])
        elif done:
            self.chunk = chunk
        self.end_replacing()
        self.older = list(self.away)
        self.learn_size()

    def step(self):
        rng = self.rng
        who, crash = rng.choice(["us", "md"]), rng.random() < 0.4
        who = WHO or who
        steps = [self.step_write, self.step_fail, self.step_absent, self.step_add, self.step_add, self.step_replace, self.step_bitmap,
                 self.step_continue, self.step_reshape]
        rng.choice(steps)(who, crash)
        self.end_replacing()
        self.learn_size()
        self.judge()


def play(guest, seed):
    """Plays an episode, and returns what came of it, and whether the guest can play another."""
    walk, lost = Walk(guest, random.Random(seed)), False
    try:
        walk.create()
        walk.judge()
        for _ in range(STEPS):
            walk.step()
        print("episode %d: level %s, %s, %d steps" % (seed, walk.level, walk.policy, STEPS), flush=True)
        return "whole", True
    except Wrong as wrong:
        end, text = "wrong", "WRONG: %s" % wrong
    except Stuck as why:
        end, text, lost = "early", "ended early: %s" % why, isinstance(why, Lost)
    print("episode %d:\n  %s\n%s" % (seed, "\n  ".join(walk.history), text), flush=True)
    try:
        return end, not lost and guest.run("quiet; [ ! -e /sys/block/md0/md/array_state ]")[0] == 0
    except Lost:
        return end, False


def main():
    guest = Guest()
    with open(FOLDER + "/played", "a+") as file:
        file.seek(0)
        ends = file.read().split()
        for number in range(len(ends), EPISODES):
            end, goes_on = play(guest, SEED * 1000 + int(os.environ.get("FIRST", 0)) + number)
            print(end, file=file, flush=True)
            if not goes_on:
                sys.exit(3)
            ends.append(end)
    os.write(guest.to, b"QUIT\n")
    wrong, early = ends.count("wrong"), ends.count("early")
    print("%d episodes of %d steps, %d wrong, %d ended early" % (len(ends), STEPS, wrong, early))
    sys.exit(wrong != 0 or early * 4 > len(ends))


main()
