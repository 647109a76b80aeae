#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Arrays whose members cannot read some sectors, name others in their bad-block logs, and have others silently wrong, are checked and repaired;
see raid_repair_test.sh.

    raid_repair.py TENON FIRST LAST

Members are NBD exports of this script, in memory, so that every sector of each is known before and after. In a row (the same sector of all
members) a sector is right (+), unreadable (E) or wrong (?):

    never       a right one becomes wrong, or one changes that no fault was put into
    never       an unreadable one becomes wrong where the rest of its row tells what it was
    in the end  what the rest of its row tells is right, unless its device takes no write, or takes it with others that nothing tells
"""
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading

TENON, FIRST, LAST = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SECTOR, MIB, SUPERBLOCK = 512, 1 << 20, 4096
FILE, SOCKET = "bytes", os.path.realpath("members.sock")
PARITIES = {1: 0, 4: 1, 5: 1, 6: 2}
LAYOUTS = {5: ["left-symmetric", "right-asymmetric", "parity-first"],
           6: ["left-symmetric", "left-asymmetric", "ddf-zero-restart", "ddf-N-continue", "left-symmetric-6"]}


class Wrong(Exception):
    pass


class Disk:
    """Sectors in `unreadable` fail reads until they are written; those in `broken` fail writes, too."""

    def __init__(self, size):
        self.data, self.unreadable, self.broken = bytearray(size), set(), set()
        self.lock = threading.Lock()

    def request(self, kind, offset, length, payload):
        """The errno and what was read."""
        sectors = range(offset // SECTOR, (offset + length) // SECTOR)
        with self.lock:
            if kind == 0:
                if not self.unreadable.isdisjoint(sectors):
                    return 5, b""
                return 0, bytes(self.data[offset:offset + length])
            if kind in (1, 6):
                if not self.broken.isdisjoint(sectors):
                    return 5, b""
                self.data[offset:offset + length] = payload if kind == 1 else bytes(length)
                self.unreadable.difference_update(sectors)
            return 0, b""

    def number(self, form, offset):
        return struct.unpack_from(form, self.data, SUPERBLOCK + offset)[0]

    def log_place(self):
        """Of the bad-block log: byte and length."""
        return SUPERBLOCK + self.number("<i", 188) * SECTOR, self.number("<H", 186) * SECTOR

    def logged(self):
        """Sectors of the device that its log names."""
        start, length = self.log_place()
        found = set()
        for at in range(start, start + length if self.number("<I", 8) & 8 else start, 8):
            entry = struct.unpack_from("<Q", self.data, at)[0]
            if entry == (1 << 64) - 1:
                break
            found.update(range(entry >> 10, (entry >> 10) + (entry & 1023)))
        return found

    def log(self, sectors):
        """Has the log name these, and the superblock that there are some."""
        start, length = self.log_place()
        self.data[start:start + length] = b"\xff" * length
        for i, sector in enumerate(sorted(sectors)):
            struct.pack_into("<Q", self.data, start + 8 * i, sector << 10 | 1)
        struct.pack_into("<I", self.data, SUPERBLOCK + 8, self.number("<I", 8) | 8)
        self.sum_up()

    def sum_up(self):
        """The checksum of superblock 1.2: little-endian words, and half a one."""
        length = 256 + 2 * self.number("<I", 220)
        bytes_ = bytearray(self.data[SUPERBLOCK:SUPERBLOCK + length])
        bytes_[216:220] = bytes(4)
        total = sum(struct.unpack("<%dI" % (length // 4), bytes_[:length // 4 * 4]))
        if length % 4:
            total += struct.unpack("<H", bytes_[-2:])[0]
        struct.pack_into("<I", self.data, SUPERBLOCK + 216, ((total & 0xffffffff) + (total >> 32)) & 0xffffffff)


class Server:
    """NBD, fixed newstyle, one thread a client."""

    def __init__(self):
        self.disks = {}
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(SOCKET)
        self.socket.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.socket.accept()[0]
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def take(client, length):
        got = b""
        while len(got) < length:
            part = client.recv(length - len(got))
            if not part:
                raise ConnectionError
            got += part
        return got

    def choose(self, client):
        """The disk that a client asks for."""
        client.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        self.take(client, 4)
        while True:
            option, length = struct.unpack(">8xII", self.take(client, 16))
            data = self.take(client, length)

            def answer(kind, payload=b""):
                client.sendall(struct.pack(">QIII", 0x3e889045565a9, option, kind, len(payload)) + payload)
            if option == 2:
                answer(1)
                raise ConnectionError
            if option not in (6, 7):
                answer(0x80000001)
                continue
            name = data[4:4 + struct.unpack(">I", data[:4])[0]].decode()
            disk = self.disks[name]
            answer(3, struct.pack(">HQH", 0, len(disk.data), 1 | 4 | 8 | 32 | 64))
            answer(3, struct.pack(">HIII", 3, SECTOR, 4096, 32 * MIB))
            answer(1)
            if option == 7:
                return disk

    def serve(self, client):
        try:
            disk = self.choose(client)
            while True:
                kind, cookie, offset, length = struct.unpack(">4x2xHQQI", self.take(client, 28))
                if kind == 2:
                    break
                payload = self.take(client, length) if kind == 1 else b""
                error, read = disk.request(kind, offset, length, payload)
                client.sendall(struct.pack(">IIQ", 0x67446698, error, cookie) + read)
        except (OSError, struct.error, KeyError):
            pass
        client.close()


class Array:
    def __init__(self, server, seed):
        self.random = random.Random(seed)
        self.level = self.random.choice([1, 4, 5, 5, 6, 6, 6])
        self.count = self.random.randint({1: 2, 4: 3, 5: 3, 6: 4}[self.level], 4 if self.level == 1 else 7)
        self.said = []
        size = MIB + self.random.choice([512, 1024]) * 1024
        self.disks = [Disk(size) for _ in range(self.count)]
        names = ["s%d-%d" % (seed, i) for i in range(self.count)]
        server.disks = dict(zip(names, self.disks))
        self.uris = ["nbd+unix:///%s?socket=%s" % (name, SOCKET) for name in names]
        self.create()
        self.start, self.sectors = (self.disks[0].number("<Q", 128), self.disks[0].number("<Q", 80))
        self.right = [bytes(disk.data) for disk in self.disks]
        self.faults = {}  # (member, sector): kind

    def tenon(self, *words, may=(0,)):
        devices = [word for uri in self.uris for word in ("--device", uri)]
        done = subprocess.run([TENON, *words, *(devices if words[1] != "create" else [])], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        text = done.stdout.decode(errors="replace")
        self.said.append("%s: %d\n%s" % (" ".join(words[:3]), done.returncode, text))
        if done.returncode not in may:
            raise Wrong("status %d" % done.returncode)
        return text

    def create(self):
        words = ["raid", "create", "x", "--level", str(self.level), "--assume-clean"]
        if self.level != 1:
            words += ["--chunk", "%dK" % self.random.choice([4, 8, 16, 64, 128])]
        if self.level in LAYOUTS:
            words += ["--layout", self.random.choice(LAYOUTS[self.level])]
        if self.random.random() < .3:
            words += ["--bitmap", "internal", "--bitmap-chunk", "64K"]
        self.tenon(*words, *self.uris)
        size = json.loads(self.tenon("raid", "show", "x", "--json"))["size_bytes"]
        with open(FILE, "wb") as file:
            file.write(self.random.randbytes(size))
        self.tenon("copy", FILE, "md/x")
        self.tenon("raid", "check", "x")

    def choose_faults(self):
        for _ in range(self.random.randint(1, 8)):
            first, length = self.random.randrange(self.sectors), self.random.choice([1, 1, 2, 8, 16, 64])
            if self.random.random() < .3:
                first = first // 8 * 8
            for i in self.random.sample(range(self.count), min(self.count, self.random.choice([1, 1, 2, 2, 3]))):
                kind = self.random.choice(["read", "read", "broken", "logged", "logged", "wrong", "wrong"])
                low = max(0, first + self.random.choice([0, 0, 0, 1, 4, -2]))
                high = min(self.sectors, low + length)
                if kind in ("read", "broken"):  # the block of the device
                    low, high = low // 8 * 8, (high + 7) // 8 * 8
                for sector in range(low, high):
                    if self.faults.get((i, sector)) not in ("read", "broken") or kind in ("read", "broken"):
                        self.faults[i, sector] = kind

    def hurt(self):
        self.choose_faults()
        logs = [set() for _ in self.disks]
        for (i, sector), kind in sorted(self.faults.items()):
            disk, at = self.disks[i], self.start + sector
            if kind in ("logged", "wrong"):
                disk.data[at * SECTOR:(at + 1) * SECTOR] = self.random.randbytes(SECTOR)
            if kind in ("read", "broken"):
                disk.unreadable.add(at)
            if kind == "broken":
                disk.broken.add(at)
            if kind == "logged":
                logs[i].add(at)
        for disk, log in zip(self.disks, logs):
            if log:
                disk.log(list(log)[:500])
        self.rows = sorted({sector for _, sector in self.faults})

    def is_right(self, i, sector):
        at = (self.start + sector) * SECTOR
        return self.disks[i].data[at:at + SECTOR] == self.right[i][at:at + SECTOR]

    def look(self):
        """What each row is now, a letter a member."""
        bad = [disk.unreadable | disk.logged() for disk in self.disks]
        for i in range(self.count):
            for sector in range(self.sectors):
                if (i, sector) not in self.faults and not self.is_right(i, sector):
                    raise Wrong("sector %d of member %d had no fault, and is wrong" % (sector, i))
        return {row: "".join("E" if self.start + row in bad[i] else "+" if self.is_right(i, row) else "?"
                             for i in range(self.count)) for row in self.rows}

    def is_told(self, row):
        """Whether the rest of a row tells what the unreadable and wrong ones were."""
        unreadable, wrong = row.count("E"), row.count("?")
        if self.level == 1:
            return row.count("+") > wrong
        return unreadable + (2 if self.level == 6 else 9) * wrong <= PARITIES[self.level]

    def is_repaired(self, i, row, rows):
        """A device's block that cannot be read is written as a whole, or not at all."""
        kind = self.faults.get((i, row))
        block = range(row // 8 * 8, row // 8 * 8 + 8) if kind == "read" else [row]
        return kind != "broken" and all(self.is_told(rows[each]) for each in block)

    def compare(self, before, after):
        for row in self.rows:
            for i, (was, is_) in enumerate(zip(before[row], after[row])):
                known = self.is_told(before[row]) or (
                    self.level == 6 and before[row].count("E") == 1 and before[row].count("?") == 1)
                if is_ == "?" and (was == "+" or (was == "E" and known)):
                    raise Wrong("sector %d of member %d: row %s became %s" % (row, i, before[row], after[row]))

    def play(self):
        self.hurt()
        began = before = self.look()
        for verb in ("check", "repair", "repair", "repair"):
            self.tenon("raid", verb, "x", may=(0, 1, 3))
            after = self.look()
            self.compare(before, after)
            before = after
        for row in self.rows:
            for i in range(self.count):
                if after[row][i] != "+" and self.is_repaired(i, row, began):
                    raise Wrong("sector %d of member %d: row %s is %s in the end" % (row, i, began[row], after[row]))


def main():
    server = Server()
    failed = 0
    for seed in range(FIRST, LAST + 1):
        array = None
        try:
            array = Array(server, seed)
            array.play()
        except (Wrong, subprocess.TimeoutExpired) as error:
            failed += 1
            print("seed %d: %s" % (seed, error))
            if array:
                print("level %d, %d members" % (array.level, array.count), *array.said, sep="\n")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
