#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
One volume, and everybody who can have it at once: two files of a mount, an NBD connection for each thread, a machine that comes and goes. What one was told
is written the next reads, whoever it is, while verbs change the volume and processes are stopped, ended and killed.

    served_storm.py SEED SECONDS [mild]     in a folder with a.img, b.img, a group vg and a volume vg/l; TENON, PLUGIN and BLOCK_IO in the environment.
                                            mild: nobody is stopped or killed, and no request may fail
"""
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import nbd_stamps as nbd

TENON, PLUGIN, BLOCK_IO = (os.environ[name] for name in ("TENON", "PLUGIN", "BLOCK_IO"))
BLOCK, BLOCKS, LONGEST, THREADS = 4096, 1024, 24, 5
PLACES = [0, 20 << 20]  # of the first half of the blocks, and of the second: on other stripes, and behind what moves first


class Failed(Exception):
    """The request failed: what it wrote may be there, or may come."""


def place(block):
    return PLACES[block * 2 // BLOCKS] + block % (BLOCKS // 2) * BLOCK


class File:
    """A file of the mount that stays open while it can."""
    def __init__(self, name):
        self.name, self.fd, self.lock = name, -1, threading.Lock()

    def opened(self):
        with self.lock:
            if self.fd < 0:
                self.fd = os.open(self.name, os.O_RDWR)
            return self.fd

    def failed(self, fd):
        with self.lock:
            if self.fd == fd:
                self.fd = -1
                with contextlib.suppress(OSError):
                    os.close(fd)

    def carry_out(self, what):
        fd = -1
        try:
            fd = self.opened()
            return what(fd)
        except OSError as error:
            if fd >= 0:
                self.failed(fd)
            time.sleep(0.02)
            raise Failed from error

    def read(self, offset, length):
        return self.carry_out(lambda fd: os.pread(fd, length, offset))

    def write(self, offset, data):
        if self.carry_out(lambda fd: os.pwrite(fd, data, offset)) != len(data):
            raise Failed

    def flush(self):
        self.carry_out(os.fsync)


class Nbd:
    """A connection for each thread."""
    def __init__(self, path):
        self.path, self.local = path, threading.local()

    def ask(self, *arguments):
        try:
            if not getattr(self.local, "connection", None):
                self.local.connection = nbd.Connection(self.path)
            return self.local.connection.ask(*arguments)
        except OSError as error:
            if getattr(self.local, "connection", None):
                self.local.connection.socket.close()
            self.local.connection = None
            time.sleep(0.02)
            raise Failed from error

    def read(self, offset, length):
        return self.ask(nbd.READ, offset, length)

    def write(self, offset, data):
        self.ask(nbd.WRITE, offset, len(data), data)

    def flush(self):
        self.ask(nbd.FLUSH)


class Machine:
    """Comes for one request, alone."""
    def __init__(self, socket):
        self.socket, self.lock = socket, threading.Lock()

    def run(self, *words):
        with self.lock:
            done = subprocess.run([BLOCK_IO, "vhost-user:" + self.socket, *words], capture_output=True, text=True, check=False, timeout=100)
        if done.returncode:
            raise Failed(done.stderr)

    def write(self, offset, data):
        self.run("fill", str(offset), str(len(data)), str(data[0]))

    def flush(self):
        self.run("flush")


class Model:
    def __init__(self, may_fail):
        self.may_fail = may_fail
        self.locks = [threading.Lock() for _ in range(BLOCKS)]
        self.held = [{0} for _ in range(BLOCKS)]  # what may be there
        self.last = [0] * BLOCKS
        self.wrong, self.done, self.failed, self.stop = [], {}, {}, threading.Event()

    def step(self, chance, clients):
        client = chance.choice(clients)
        first = chance.randrange(BLOCKS - LONGEST)
        if first // (BLOCKS // 2) != (first + LONGEST) // (BLOCKS // 2):
            return
        count = chance.choice((1, 1, 1, 2, LONGEST))
        locks = self.locks[first:first + count]
        for lock in locks:
            lock.acquire()
        name = type(client).__name__
        try:
            if chance.random() < 0.5:
                self.write(client, first, count)
            elif name != "Machine":
                self.read(client, first, count)
            else:
                return
            if chance.random() < 0.05:
                client.flush()
            self.done[name] = self.done.get(name, 0) + 1
        except Failed as why:
            if not self.may_fail:
                self.wrong.append("%s: %s" % (name, why.__cause__ or why))
            self.failed[name] = self.failed.get(name, 0) + 1
        finally:
            for lock in locks:
                lock.release()

    def write(self, client, first, count):
        value = (max(self.last[first:first + count]) + 1) % 251 if isinstance(client, Machine) else None
        values = [value if value is not None else (self.last[i] + 1) % 251 for i in range(first, first + count)]
        for i, new in enumerate(values):
            self.last[first + i] = new
            self.held[first + i] = self.held[first + i] | {new}
        client.write(place(first), b"".join(bytes([new]) * BLOCK for new in values))
        for i, new in enumerate(values):
            self.held[first + i] = {new}

    def read(self, client, first, count):
        self.compare(first, count, client.read(place(first), count * BLOCK), type(client).__name__)

    def compare(self, first, count, found, who):
        for i in range(count):
            got = found[i * BLOCK:(i + 1) * BLOCK]
            if len(set(got)) != 1 and len(self.held[first + i]) > 1:
                continue  # one that failed half way
            if len(got) != BLOCK or len(set(got)) != 1 or got[0] not in self.held[first + i]:
                self.wrong.append("%s: block %d: expected %s, found %s" % (who, first + i, self.held[first + i], sorted(set(got))))

    def run(self, seed, clients):
        chance = random.Random(seed)
        try:
            while not self.stop.is_set() and not self.wrong:
                self.step(chance, clients)
        except Exception as error:
            self.wrong.append(repr(error))
            raise


class World:
    """The processes, and what happens to them."""
    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.server = self.nbdkit = None
        self.log = open("log", "ab")
        self.verbs = {}

    def begin(self):
        self.start_server()
        self.start_nbdkit()
        self.mount()

    def launch(self, *command):
        return subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def tenon(self, *words, limit=120):
        self.log.write(("+ %s\n" % " ".join(words)).encode())
        self.log.flush()
        rc = subprocess.run(["timeout", str(limit), TENON, *words], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, check=False).returncode
        self.log.write(("= %d\n" % rc).encode())
        self.log.flush()
        count = self.verbs.setdefault(" ".join(words[:2]), [0, 0])
        count[rc != 0] += 1
        if rc == 124:
            sys.exit("%s does not end" % " ".join(words))
        return rc

    def start_server(self):
        for _ in range(200):
            self.server = self.launch(TENON, "serve", "vg", "--socket-dir", "s")
            for _ in range(600):
                if subprocess.run([TENON, "lv", "show", "vg/l"], capture_output=True, check=False).returncode == 0 and os.path.exists(
                        "run/serve-%d.sock" % self.server.pid):
                    return
                if self.server.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                sys.exit("the server says nothing")
            time.sleep(0.1)
        sys.exit("no server")

    def start_nbdkit(self):
        for _ in range(100):
            for name in "nbd.sock", "nbd.pid":
                if os.path.exists(name):
                    os.unlink(name)
            self.nbdkit = self.launch("nbdkit", "-f", "-U", "nbd.sock", "-P", "nbd.pid", PLUGIN, "volume=vg/l", "shared=true")
            while self.nbdkit.poll() is None:
                if os.path.exists("nbd.pid"):
                    return
                time.sleep(0.02)
            time.sleep(0.1)
        sys.exit("no nbdkit")

    def mount(self):
        for _ in range(100):
            if not self.tenon("mount", "vg", "m", "--shared"):
                return
            time.sleep(0.1)
        sys.exit("no mount")

    def mount_pid(self):
        names = [name for name in os.listdir("run") if name.startswith("mount-") and name.endswith(".sock")]
        alive = [int(name[6:-5]) for name in names if os.path.exists("/proc/" + name[6:-5])]
        return alive[0] if alive else 0

    def kill_server(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.start_server()

    def end_server(self):
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(90)
        except subprocess.TimeoutExpired:
            sys.exit("the server does not end")
        self.start_server()

    def kill_nbdkit(self):
        self.nbdkit.send_signal(self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
        self.nbdkit.wait()
        self.start_nbdkit()

    def kill_mount(self):
        pid = self.mount_pid()
        if pid:
            os.kill(pid, self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
        for _ in range(100):
            if not self.tenon("unmount", "m") or not os.path.ismount("m"):
                break
            time.sleep(0.1)
        self.mount()

    def stop_one(self):
        pid = self.chance.choice((self.server.pid, self.nbdkit.pid, self.mount_pid()))
        if not pid:
            return
        os.kill(pid, signal.SIGSTOP)
        if pid != self.server.pid and self.chance.random() < 0.7:
            self.verb()
        else:
            time.sleep(self.chance.random() * 1.5)
        os.kill(pid, signal.SIGCONT)

    def verb(self):
        if self.server.poll() is not None:
            sys.exit("the server ended: %s" % self.server.poll())
        what = self.chance.choice(("move", "move", "extend", "limit", "free", "convert", "unconvert", "tag"))
        if what == "move":
            self.tenon("lv", "move", "vg/l", self.chance.choice(("a.img", "b.img")))
        elif what == "extend":
            self.tenon("lv", "extend", "vg/l", "--size", "+4M")
        elif what == "limit":
            self.tenon("lv", "limit", "vg/l", "--iops", str(self.chance.choice((300, 5000))))
        elif what == "free":
            self.tenon("lv", "limit", "vg/l", "--none")
        elif what == "convert":
            self.tenon("lv", "convert", "vg/l", "--type", "raid1")
        elif what == "unconvert":
            self.tenon("lv", "convert", "vg/l", "--type", "linear")
        elif what == "tag":
            self.tenon("lv", "tag", "vg/l", "--add", "t%d" % self.chance.randrange(1000))

    def event(self, harsh):
        roll = self.chance.random()
        if roll < 0.6 or not harsh:
            self.verb()
        elif roll < 0.75:
            self.stop_one()
        else:
            self.chance.choice((self.kill_server, self.kill_server, self.end_server, self.kill_nbdkit, self.kill_mount))()

    def end(self):
        if self.tenon("unmount", "m"):
            sys.exit("it cannot be unmounted")
        self.nbdkit.send_signal(signal.SIGTERM)
        self.nbdkit.wait()
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()


    def abandon(self):
        """Whatever is left of it."""
        for process in self.server, self.nbdkit:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if self.mount_pid():
            os.kill(self.mount_pid(), signal.SIGKILL)
        if os.path.ismount("m"):
            subprocess.run(["fusermount3", "-uz", "m"], check=False)


def storm(world, model, seed, seconds):
    clients = [File("m/l"), File("m/l"), Nbd("nbd.sock")]
    threads = [threading.Thread(target=model.run, args=(seed * 100 + i, clients + [Machine("s/vg-l.sock")] * (i == 0)), daemon=True)
               for i in range(THREADS)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and not model.wrong:
        world.event(model.may_fail)
        time.sleep(world.chance.random() * 0.3)
    model.stop.set()
    for thread in threads:
        thread.join(120)
        if thread.is_alive():
            sys.exit("a request does not end")
    for client in clients[:2]:
        client.failed(client.fd)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it takes too long"))  # whose processes are not left behind
    seed, seconds = int(sys.argv[1]), float(sys.argv[2])
    model = Model("mild" not in sys.argv[3:])
    world = World(seed)
    try:
        world.begin()
        storm(world, model, seed, seconds)
        world.end()
        if world.tenon("copy", "vg/l", "out.img", "--force") or world.tenon("vg", "check", "vg"):
            sys.exit("the group is not what it should be")
        with open("out.img", "rb") as image:
            for block in range(BLOCKS):
                model.compare(block, 1, os.pread(image.fileno(), BLOCK, place(block)), "the end")
    finally:
        world.abandon()
    print(model.done, "failed", model.failed, world.verbs)
    if model.wrong or not all(model.done.get(name) for name in ("File", "Nbd", "Machine")):
        sys.exit("\n".join(model.wrong[:10]) or "somebody did nothing")


main()
