#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
An NBD client that knows what a disk must hold: threads with a connection each write numbered blocks of their own, and read them again.

    nbd_stamps.py SOCKET STATE SECONDS [THREADS]    until then, until there is a file STATE.stop, or until a connection ends; STATE: what was acknowledged, as JSON
    nbd_stamps.py --check STATE IMAGE               whether an image of the disk has that, or what was on its way after it

Exits 0, 1 where a block is not what it must be, 3 where a connection ended early (STATE is written then too).
"""
import json
import os
import random
import socket
import struct
import sys
import threading
import time

BLOCK = 4096
BLOCKS = 256  # of a thread
OPTION_EXPORT = 1
READ, WRITE, FLUSH = 0, 1, 3


def stamp(run, thread, block, number):
    return struct.pack("<IIII", run, thread, block, number) * (BLOCK // 16)


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(path)
        self.take(18)
        self.socket.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", OPTION_EXPORT, 0))
        self.take(10)
        self.handle = 0

    def take(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise OSError("closed")
            got += more
        return got

    def ask(self, what, offset=0, length=0, data=b"", flags=0):
        self.handle += 1
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, what, self.handle, offset, length) + data)
        _, error, handle = struct.unpack(">IIQ", self.take(16))
        if error or handle != self.handle:
            raise OSError("error %d" % error)
        return self.take(length) if what == READ else b""


class Writer(threading.Thread):
    def __init__(self, run, number, path, end, stop):
        super().__init__()
        self.run_number, self.number, self.path, self.end, self.stop = run, number, path, end, stop
        self.acknowledged, self.sent = [0] * BLOCKS, [0] * BLOCKS
        self.failed, self.wrong, self.count = None, None, 0

    def place(self, block):
        return (self.number * BLOCKS + block) * BLOCK

    def step(self, connection, chance):
        block = chance.randrange(BLOCKS)
        if chance.random() < 0.4 and self.acknowledged[block]:
            got = connection.ask(READ, self.place(block), BLOCK)
            if got != stamp(self.run_number, self.number, block, self.acknowledged[block]):
                self.wrong = "block %d of %d: expected %d, found %s" % (
                    block, self.number, self.acknowledged[block], struct.unpack("<IIII", got[:16]))
        elif chance.random() < 0.05:
            connection.ask(FLUSH)
        else:
            self.sent[block] += 1
            connection.ask(WRITE, self.place(block), BLOCK, stamp(self.run_number, self.number, block, self.sent[block]))
            self.acknowledged[block] = self.sent[block]
        self.count += 1

    def run(self):
        chance = random.Random(self.number)
        try:
            connection = Connection(self.path)
            while time.monotonic() < self.end and not self.wrong and not os.path.exists(self.stop):
                self.step(connection, chance)
            connection.ask(FLUSH)
        except OSError as error:
            self.failed = str(error)


def write(path, state, seconds, threads):
    end = time.monotonic() + seconds
    run = random.SystemRandom().getrandbits(32)  # what is there of an earlier one is told from it
    writers = [Writer(run, i, path, end, state + ".stop") for i in range(threads)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with open(state, "w", encoding="utf-8") as file:
        json.dump([run, [[writer.acknowledged, writer.sent] for writer in writers]], file)
    print("%d requests" % sum(writer.count for writer in writers))
    for writer in writers:
        if writer.wrong:
            print(writer.wrong)
    if any(writer.wrong for writer in writers):
        return 1
    return 3 if any(writer.failed for writer in writers) else 0


def check(state, image):
    with open(state, encoding="utf-8") as file:
        run, writers = json.load(file)
    wrong = 0
    with open(image, "rb") as file:
        for number, (acknowledged, sent) in enumerate(writers):
            for block, least in enumerate(acknowledged):
                got = os.pread(file.fileno(), BLOCK, (number * BLOCKS + block) * BLOCK)
                if least and got not in [stamp(run, number, block, one) for one in (least, sent[block])]:
                    wrong += 1
                    print("block %d of %d: expected %d or %d, found %s" %
                          (block, number, least, sent[block], struct.unpack("<IIII", got[:16])))
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(check(sys.argv[2], sys.argv[3]))
    sys.exit(write(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 4))
