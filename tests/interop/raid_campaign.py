#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Arrays of random shapes whose servers and commands are killed at any moment; see raid_campaign_test.sh.

    raid_campaign.py TENON PLUGIN KILLS SEED

An array is made (its first `create` may be killed), filled by NBD clients through nbdkit and by `tenon copy`, while members fail, come back
and are replaced, and it is scrubbed and grown. After each kill every sector is what was flushed last, or was written later; also without a
member, where the level promises that. In the end the array is whole, nothing differs, and any one member may be left out.
Each sector has a value of its own for each write; a sector's list in `Disk.may` has what it may hold, the oldest first.
"""
import collections
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time

from nbd_stamps import READ, WRITE, FLUSH, Connection

TENON, PLUGIN, KILLS, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SECTOR, MIB = 512, 1 << 20
TRIM, ZEROES, FUA = 4, 6, 1
ANYTHING = -1
GUESTS = 3
DISKS = ["%s.img" % letter for letter in "abcdefg"]
JOURNAL = "j.img"
ZERO = bytes(SECTOR)


class Wrong(Exception):
    pass


def content(place, version):
    header = struct.pack("<QQ", place, version)
    digest = hashlib.blake2b(header).digest()
    return header + digest * 7 + digest[:48]


def popen(*words, **more):
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True, **more)


def tenon(*words, devices=None, limit=120):
    """Exit status and what it said."""
    environment = dict(os.environ, TENON_DEVICES=devices) if devices else None
    process = popen(TENON, *words, stdout=subprocess.PIPE, env=environment)
    try:
        said = process.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise Wrong("tenon %s hangs" % " ".join(words)) from None
    if process.returncode < 0 or "Sanitizer" in said or "runtime error" in said:
        raise Wrong("tenon %s: %d: %s" % (" ".join(words), process.returncode, said))
    return process.returncode, said


def must(*words, **more):
    rc, said = tenon(*words, **more)
    if rc:
        raise Wrong("tenon %s: %d: %s" % (" ".join(words), rc, said))
    return said


def show():
    process = subprocess.run([TENON, "raid", "show", "r", "--json"], capture_output=True, timeout=120, check=False)
    return json.loads(process.stdout) if process.returncode == 0 else None


class Disk:
    """What each sector may hold."""

    def __init__(self, sectors, blank):
        self.lock = threading.Lock()
        self.version = 0
        self.zeroes = {0}
        self.may = [[0 if blank else ANYTHING] for _ in range(sectors)]
        self.unflushed = {}  # sector: what was acknowledged last, since the server began
        self.unsure = set()  # sectors that were being written at a kill, since the array was whole
        self.checked = 0

    def grow(self, sectors):
        self.may += [[ANYTHING] for _ in range(sectors - len(self.may))]

    def begin(self, first, count, zero):
        with self.lock:
            self.version += 1
            if zero:
                self.zeroes.add(self.version)
            for sector in range(first, first + count):
                self.may[sector].append(self.version)
            return self.version

    def acknowledge(self, first, count, version, durable):
        with self.lock:
            for sector in range(first, first + count):
                if durable:
                    self.forget(sector, version)
                else:
                    self.unflushed[sector] = version

    def forget(self, sector, version):
        """What is older than a version."""
        may = self.may[sector]
        if version in may:
            del may[:may.index(version)]
        if self.unflushed.get(sector, version) <= version:
            self.unflushed.pop(sector, None)

    def flushing(self):
        with self.lock:
            return dict(self.unflushed)

    def flushed(self, then):
        with self.lock:
            for sector, version in then.items():
                self.forget(sector, version)

    def killed(self):
        self.unflushed = {}

    def is_one_of(self, sector, data, versions):
        if ANYTHING in versions:
            return True
        if data == ZERO:
            return any(version in self.zeroes for version in versions)
        place, version = struct.unpack("<QQ", data[:16])
        return place == sector and version in versions and version not in self.zeroes and data == content(sector, version)

    def check(self, first, data, what, live=False, leave_out=()):
        for i in range(len(data) // SECTOR):
            sector = first + i
            if sector in leave_out:
                continue
            versions = self.may[sector]
            if live:
                with self.lock:
                    known = self.unflushed.get(sector)
                    versions = versions[versions.index(known):] if known in versions else list(versions)
            got = data[i * SECTOR:(i + 1) * SECTOR]
            if not self.is_one_of(sector, got, versions):
                place, version = struct.unpack("<QQ", got[:16])
                raise Wrong("%s: sector %d is of sector %d, version %d; expected %s of %d" %
                            (what, sector, place, version, versions[:8], self.version))
            self.checked += 1


class Guest(threading.Thread):
    """A connection; it writes cells of its own, and one request at a time."""

    def __init__(self, disk, number, cell, seed):
        super().__init__()
        self.disk, self.number, self.cell = disk, number, cell
        self.chance = random.Random(seed)
        self.wrong, self.requests, self.stop = None, 0, False

    def place(self):
        """Of some sectors in a cell."""
        cells = len(self.disk.may) // self.cell // GUESTS
        first = (self.chance.randrange(cells) * GUESTS + self.number) * self.cell
        if self.chance.random() < 0.3:
            return first, self.cell
        at = self.chance.randrange(self.cell)
        count = 1 + self.chance.randrange(self.cell - at)
        if self.chance.random() < 0.5:
            at, count = at & ~7, max(8, count & ~7)
        return first + at, min(count, self.cell - at)

    def change(self, connection, first, count):
        kind = self.chance.choice([WRITE] * 8 + [ZEROES, TRIM])
        durable = kind == WRITE and self.chance.random() < 0.2
        version = self.disk.begin(first, count, kind != WRITE)
        data = b"".join(content(first + i, version) for i in range(count)) if kind == WRITE else b""
        span = range(first, first + count)
        self.disk.unsure.update(span)
        connection.ask(kind, first * SECTOR, count * SECTOR, data, FUA if durable else 0)
        if kind != TRIM:  # which need not do anything
            self.disk.acknowledge(first, count, version, durable)
        self.disk.unsure.difference_update(span)

    def step(self, connection):
        dice = self.chance.random()
        if dice < 0.12:
            then = self.disk.flushing()
            connection.ask(FLUSH)
            self.disk.flushed(then)
        elif dice < 0.35:
            first, count = self.place()
            self.disk.check(first, connection.ask(READ, first * SECTOR, count * SECTOR), "a guest's read", True)
        else:
            self.change(connection, *self.place())
        self.requests += 1

    def run(self):
        try:
            connection = Connection("nbd.sock")
            while not self.stop:
                self.step(connection)
        except OSError:
            pass
        except Wrong as error:
            self.wrong = error


class Episode:
    """One array."""

    def __init__(self, number):
        self.chance = random.Random(SEED * 1000 + number)
        self.seed = SEED * 1000 + number
        self.disk, self.server, self.nbd, self.history = None, None, None, []
        self.level = self.chance.choice(["0", "linear"] + 2 * ["1", "4", "6", "6", "10", "10"] + 5 * ["5"])
        self.log = self.chance.choice({"0": [""], "linear": [""], "1": ["resync", "bitmap"], "10": ["resync", "bitmap"],
                                       "5": ["resync", "bitmap", "ppl", "ppl", "journal"]}.get(
                                           self.level, ["resync", "bitmap", "journal"]))
        self.copies = self.level in ("1", "10")
        self.parity = self.level in ("4", "5", "6")
        self.changes_log = self.log == "ppl"
        self.synced = False
        self.met = collections.Counter()

    def note(self, *words):
        self.history.append(" ".join(str(word) for word in words))

    # ---- Making one ----

    def words(self):
        chance, count = self.chance, self.chance.randrange(3, 6)
        metadata = chance.choice(["1.1", "1.2"] if self.log == "ppl" else ["1.0", "1.1", "1.2", "1.2"])
        words = ["raid", "create", "r", "--level", self.level, "--metadata", metadata]
        if self.level == "1":
            count = chance.randrange(2, 4)
        elif self.level == "6":
            count = chance.randrange(4, 6)
        if self.level not in ("1", "linear"):
            words += ["--chunk", chance.choice(["4K", "16K", "64K", "64K", "128K"])]
        if self.log:
            words += ["--consistency", self.log]
        if self.log == "bitmap":
            words += ["--bitmap-chunk", chance.choice(["64K", "256K"])]
        if self.log == "journal":
            words += ["--journal", JOURNAL]
        if self.level == "10":
            words += ["--layout", chance.choice(["n2", "n2", "o2", "f2", "n3"])]
        if self.level in ("5", "6"):
            words += ["--layout", chance.choice(["left-symmetric", "right-asymmetric", "left-asymmetric", "parity-first"])]
        if self.level not in ("0", "linear"):
            words += ["--size", "%dK" % chance.randrange(2048, 6144, 64)]
        return words + DISKS[:count]

    def create(self):
        self.blank = self.chance.random() < 0.6
        for name in DISKS + [JOURNAL]:
            with open(name, "wb") as file:
                if not self.blank:
                    file.write(random.Random(self.seed).randbytes(MIB) * 10)
                file.truncate(10 * MIB)
        words = self.words()
        self.note(*words, "on blank disks" if self.blank else "on old data")
        if self.chance.random() < 0.3:
            self.kill_command(*words, limit=0.05)
        rc, said = tenon(*words)
        if rc:
            must(*words, "--force")
            self.note("was in the way:", said.strip())
        state = show()
        self.disk = Disk(state["size_bytes"] // SECTOR, self.blank)

    # ---- Kills ----

    def kill_command(self, *words, limit=0.4):
        """Runs a command, and kills it unless it ends before."""
        process = popen(TENON, *words, stdout=subprocess.PIPE)
        try:
            process.wait(self.chance.random() * limit)
            return process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.note("killed:", *words)
            return None
        finally:
            process.stdout.close()

    def serve(self):
        if os.path.exists("out"):
            os.remove("out")
        with open("out", "w", encoding="utf-8") as out:
            self.server = popen(TENON, "serve", "md/r", "--socket-dir", "s", stdout=out)
        end = time.monotonic() + 60
        while "\nready" not in "\n" + open("out", encoding="utf-8").read():
            if self.server.poll() is not None or time.monotonic() > end:
                raise Wrong("the server does not start: %s" % open("out", encoding="utf-8").read())
            time.sleep(0.01)
        if os.path.exists("nbd.sock"):
            os.remove("nbd.sock")
        self.nbd = popen("nbdkit", "-f", "-U", "nbd.sock", PLUGIN, "md/r", stdout=subprocess.DEVNULL)
        while not os.path.exists("nbd.sock"):
            if self.nbd.poll() is not None or time.monotonic() > end:
                raise Wrong("nbdkit does not start")
            time.sleep(0.01)

    def end_server(self, how):
        """Both go, so that no later server carries out what was on its way."""
        for process in (self.server, self.nbd) if how == "kill" else (self.nbd, self.server):
            if how == "kill":
                process.kill()
            else:
                process.terminate()
            process.wait(120)
        if how != "kill" and self.server.returncode:
            raise Wrong("the server ended with %d: %s" % (self.server.returncode, open("out", encoding="utf-8").read()))
        self.server = self.nbd = None

    def served_round(self):
        self.serve()
        sectors = show()["size_bytes"] // SECTOR
        self.disk.grow(sectors)
        if self.chance.random() < 0.7:
            tenon("raid", "speed", "r", "--min", "64K", "--max", self.chance.choice(["512K", "1M", "4M"]))
        cell = self.chance.choice([8, 32, 128, 512])
        guests = [Guest(self.disk, i, cell, self.chance.random()) for i in range(GUESTS)]
        for guest in guests:
            guest.start()
        killer = threading.Timer(0.2 + self.chance.random() * 1.3, self.server.kill)
        killer.start()
        while self.server.poll() is None:
            self.meddle()
        killer.join()
        self.end_server("kill")
        for guest in guests:
            guest.join()
            if guest.wrong:
                raise guest.wrong
        self.note("killed the server after", sum(guest.requests for guest in guests), "requests")

    # ---- What is done meanwhile ----

    @property
    def bears(self):
        """A crash while a member is missing."""
        return self.copies or self.log in ("ppl", "journal")

    def note_log(self, state):
        """Which a command that was killed has left."""
        if self.changes_log:
            self.log = state["consistency"]

    def whole(self, state):
        """Its members have all data, whatever a crash has left in one of them."""
        if state is None or state["degraded"] or state["missing"]:
            return False
        idle = state["progress"]["operation"] == "idle"
        full = all(member["state"] != "rebuilding" for member in state["members"])
        if full and idle and state["synced_percent"] == 100:
            self.synced = True
        return full and self.synced

    @staticmethod
    def free(state):
        """Disks that have no place in it, and may have had one."""
        members = {os.path.basename(member["device"]) for member in state["members"] if member["state"] != "removed"}
        return [name for name in DISKS if name not in members]

    def verb(self):
        """Of a command that may be refused, and that does not take the last redundancy that a crash needs."""
        chance, state = self.chance, show()
        if not state or self.level in ("0", "linear"):
            return ["raid", "show", "r"]
        self.note_log(state)
        inside = [member["device"] for member in state["members"] if member["state"] == "in sync" and member["role"] is not None]
        faulty = [member["device"] for member in state["members"] if member["state"] in ("faulty", "stale")]
        free = self.free(state)
        kinds = ["check", "repair", "rebuild", "stop-sync", "speed"]
        if faulty:
            kinds += ["remove"] * 4
        if free:
            kinds += ["add"] * (4 if state["degraded"] else 1)
        if free and inside:
            kinds += ["replace"] * 4
        if inside and self.bears and self.whole(state):
            kinds += ["fail"] * 3
        if self.log in ("resync", "bitmap"):
            kinds += ["bitmap"]
        if self.changes_log and self.whole(state):
            kinds += ["log"] * 3
        if free and self.log in ("resync", "bitmap") and self.whole(state) and state["progress"]["operation"] == "idle":
            kinds += ["grow"] * 12
        kind = chance.choice(kinds)
        if kind == "remove":
            return ["raid", kind, "r", chance.choice(faulty)]
        if kind == "add":
            return ["raid", kind, "r", chance.choice(free)]
        if kind == "replace":
            return ["raid", kind, "r", chance.choice(inside), "--with", chance.choice(free)]
        if kind == "fail":
            return ["raid", kind, "r", chance.choice(inside)]
        if kind == "bitmap":
            return ["raid", kind, "r", chance.choice(["add", "remove"])]
        if kind == "log":
            return ["raid", "grow", "r", "--consistency", "ppl" if self.log == "resync" else "resync"]
        if kind == "speed":
            return ["raid", kind, "r", "--max", chance.choice(["none", "1M", "8M"])]
        return self.grown(state, free) if kind == "grow" else ["raid", kind, "r"]

    def grown(self, state, free):
        words = ["raid", "grow", "r"]
        kind = self.chance.choice(["devices", "devices", "chunk", "layout", "size", "level"])
        if kind == "devices":
            return words + ["--devices", str(state["devices"] + 1), "--add", free[0]]
        if kind == "chunk" and self.level != "1":
            return words + ["--chunk", self.chance.choice(["8K", "32K", "64K"])]
        if kind == "layout" and self.level in ("5", "6"):
            return words + ["--layout", self.chance.choice(["left-symmetric", "right-symmetric", "parity-last"])]
        if kind == "layout" and self.level == "10":
            return words + ["--layout", self.chance.choice(["n2", "o2"])]
        if kind == "level" and self.level == "5" and state["level"] == "raid5":
            return words + ["--level", "6", "--add", free[0]]
        return words + ["--size", "%dK" % (state["member_size_bytes"] // 1024 + 64 * self.chance.randrange(1, 9))]

    def meddle(self):
        words = self.verb()
        rc, said = tenon(*words)
        self.note(*words, "->", rc, "" if rc == 0 else said.strip().splitlines()[-1][:120] if said.strip() else "")
        time.sleep(self.chance.random() * 0.05)

    def command_round(self):
        """No server: a command changes the array, or writes to it, and is killed."""
        if self.chance.random() < 0.4:
            sectors = len(self.disk.may)
            version = self.disk.begin(0, sectors, False)
            with open("data", "wb") as file:
                file.write(b"".join(content(i, version) for i in range(sectors)))
            self.disk.unsure.update(range(sectors))
            if self.kill_command("copy", "data", "md/r", limit=0.3) == 0:
                self.disk.acknowledge(0, sectors, version, True)
                self.disk.unsure.clear()
            return
        words = self.verb()
        rc = self.kill_command(*words)
        self.note("command:", *words, "->", rc)

    # ---- What must be there ----

    def read_all(self, devices=None):
        if os.path.exists("copy"):
            os.remove("copy")
        must("copy", "md/r", "copy", devices=devices)
        with open("copy", "rb") as file:
            data = file.read()
        self.disk.grow(len(data) // SECTOR)
        return data

    def verify(self):
        self.disk.killed()
        state = show()
        if not state:
            raise Wrong("it is not found any more: %s" % tenon("raid", "show", "r")[1])
        self.met.update({"recoveries": any(member["state"] in ("rebuilding", "replacing") for member in state["members"]),
                         "reshapes": bool(state["reshape"]), "resyncs": state["synced_percent"] not in (100, None),
                         "lacking members": state["degraded"]})
        self.note_log(state)
        whole = self.whole(state)
        if self.log == "ppl" and not whole:
            for sector in self.disk.unsure:  # on the member that is missing they may be lost
                self.disk.may[sector].append(ANYTHING)
        self.disk.check(0, self.read_all(), "after a kill")
        dirty = not state["clean"] or state["synced_percent"] != 100
        if whole and not state["reshape"] and (self.copies or (self.parity and (not dirty or self.log == "ppl"))):
            self.leave_out(state, self.disk.unsure if dirty and self.log == "ppl" else ())
        if whole and not dirty:
            self.disk.unsure.clear()

    def leave_out(self, state, but):
        """Of copies, which may be written to: a log is carried out first."""
        used = [member["device"] for member in state["members"] if member["state"] in ("in sync", "journal")]
        out = self.chance.choice([member["device"] for member in state["members"] if member["state"] == "in sync"])
        os.mkdir("without")
        for device in used:
            if device != out:
                subprocess.run(["cp", "--sparse=always", device, "without"], check=True)
        rest = os.path.join(os.getcwd(), "without", "*.img")
        must("raid", "assemble", "r", "--degraded", devices=rest)
        self.disk.check(0, self.read_all(rest), "without %s" % out, leave_out=but)
        shutil.rmtree("without")

    def finish(self):
        self.serve()
        must("raid", "speed", "r", "--max", "none")
        end = time.monotonic() + 240
        while True:
            must("raid", "rebuild", "r", limit=240)
            state = show()
            if not state["degraded"] and state["progress"]["operation"] == "idle" and not state["reshape"]:
                break
            for member in state["members"]:
                if member["state"] in ("faulty", "stale"):
                    tenon("raid", "remove", "r", member["device"])
            for name in self.free(state):
                if tenon("raid", "add", "r", name)[0] == 0:
                    break
            if time.monotonic() > end:
                raise Wrong("it does not become whole: %s" % json.dumps(state))
        self.end_server("end")
        if self.level not in ("0", "linear"):
            must("raid", "check", "r", limit=240)
        self.disk.check(0, self.read_all(), "in the end")
        state = show()
        if self.level not in ("0", "linear"):
            for _ in range(3):
                self.leave_out(state, ())
        for member in state["members"]:
            said = subprocess.run(["mdadm", "--examine", member["device"]], capture_output=True, text=True, check=False).stdout
            if "- correct" not in said:
                raise Wrong("mdadm rejects %s: %s" % (member["device"], said))

    def play(self, kills):
        self.create()
        for _ in range(kills):
            if self.chance.random() < 0.25:
                self.command_round()
            else:
                self.served_round()
            self.verify()
        self.finish()

    def clean_up(self):
        for process in (self.nbd, self.server):
            if process and process.poll() is None:
                process.kill()
                process.wait()


def main():
    killed, number, checked, met = 0, 0, 0, collections.Counter()
    while killed < KILLS:
        episode = Episode(number)
        kills = min(5, KILLS - killed)
        try:
            episode.play(kills)
        except Wrong as error:
            print("FAILED: episode %d of seed %d: %s" % (number, SEED, error))
            print("\n".join("    " + line for line in episode.history))
            return 1
        finally:
            episode.clean_up()
        killed += kills
        number += 1
        checked += episode.disk.checked
        met.update(episode.met)
        print("%d kills; %s" % (killed, episode.history[0]), flush=True)
    print("%d kills, %d arrays, %d sectors compared; kills in: %s" %
          (killed, number, checked, ", ".join("%d %s" % (count, what) for what, count in met.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
