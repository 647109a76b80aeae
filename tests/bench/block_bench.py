#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Our vhost-user-blk server beside qemu-storage-daemon, driven by the same client (vhost_user_blk_bench): requests per
second, and per second of the server's processor time (all its threads, those of its ring in the kernel included). Then
a two-way mirror of ours beside a plain file of ours, on each kind of file. All servers run all the time and are measured in turn (A B A B
...). Nothing is asserted; results.py says what is written where.

    block_bench.py [--rounds N] [--seconds S] [--only WORD]...

Disks: null; a file with direct I/O where the sources are; one on tmpfs; a loop device over one on tmpfs (as root). The
servers are bound to processor 0 and the client to 1, where there are two.

What the two do with a request is the same, as strace shows: both open the file with O_DIRECT and give the kernel reads and
writes by io_uring; neither flushes before the guest asks for it, as the client says that it will (VIRTIO_BLK_F_FLUSH) and never
does; both tell the driver by the call eventfd. Ours asks for the size of the file once a round in which it is written. On tmpfs
ours calls pread() and pwrite() itself, the peer leaves them to its ring's threads, whose time counts as its own. What the
kernel does for a loop device is in threads of the kernel, and counts as nobody's.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import results

SERVER = os.path.join(results.ROOT, "build/tests/helpers/blk_server")
CLIENT = os.path.join(results.ROOT, "build/tests/bench/vhost_user_blk_bench")
SIZE = 256 << 20
PEER = "qemu-storage-daemon"


def bound(processor):
    return ["taskset", "-c", str(processor)] if len(os.sched_getaffinity(0)) > 1 else []


class Servers:
    """What is started is ended, and loop devices are detached."""

    def __init__(self, folder):
        self.folder, self.processes, self.loops = folder, {}, []

    def start(self, name, command):
        socket = os.path.join(self.folder, name + ".sock")
        with open(os.path.join(self.folder, name + ".log"), "wb") as log:
            process = subprocess.Popen(bound(0) + [word.replace("SOCKET", socket) for word in command], stdout=log,
                                       stderr=log, stdin=subprocess.DEVNULL)
        self.processes[name] = (process, socket)
        for _ in range(200):
            if os.path.exists(socket):
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        with open(os.path.join(self.folder, name + ".log"), encoding="utf-8", errors="replace") as log:
            sys.exit("%s does not start: %s" % (name, log.read()))

    def start_qsd(self, name, blockdev):
        self.start(name, [PEER, "--blockdev", blockdev + ",node-name=n", "--export",
                          "vhost-user-blk,id=e,node-name=n,writable=on,addr.type=unix,addr.path=SOCKET"])

    def loop(self, path):
        done = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        self.loops.append(done.stdout.strip())
        return self.loops[-1]

    def measure(self, name, options):
        process, socket = self.processes[name]
        command = bound(1) + [CLIENT, socket, "pid", str(process.pid)] + options
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit("%s: %s: %s%s" % (name, " ".join(options), done.stdout, done.stderr))
        words = done.stdout.split()
        values = dict(zip(words[::2], words[1::2]))
        return float(values["iops"]), float(values["per_cpu_second"])

    def end(self):
        for process, _ in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process, _ in self.processes.values():
            process.wait()
        for loop in self.loops:
            subprocess.run(["losetup", "--detach", loop], check=False)


def make_image(folder, name):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    return path


def start_disks(servers, disk_folder, memory_folder):
    """The names of the disks that there are: NAME-ours and NAME-theirs serve them."""
    servers.start("null-ours", [SERVER, "SOCKET", "null", str(SIZE)])
    servers.start_qsd("null-theirs", "null-co,size=%d,read-zeroes=off" % SIZE)
    places = {"file": make_image(disk_folder, "disk.img"), "tmpfs": make_image(memory_folder, "tmpfs.img")}
    loop = servers.loop(make_image(memory_folder, "loop.img"))
    if loop:
        places["loop"] = loop
    else:
        print("no loop device can be had: not measured")
    for name, path in places.items():
        servers.start(name + "-ours", [SERVER, "SOCKET", "file", path])
        driver = "host_device" if name == "loop" else "file"
        servers.start_qsd(name + "-theirs",
                          "%s,filename=%s,cache.direct=on,aio=io_uring,locking=off" % (driver, path))
    for name in places:
        start_mirror(servers, name, disk_folder if name == "file" else memory_folder)
    return ["null"] + list(places)


def start_mirror(servers, name, folder):
    legs = [make_image(folder, "%s-%s.img" % (name, leg)) for leg in "ab"]
    if name == "loop":
        legs = [servers.loop(leg) for leg in legs]
    servers.start("mirror-" + name, [SERVER, "SOCKET", "mirror"] + legs)


def cases_of(disks):
    """(case, ours, theirs, peer, options of the client)"""
    for disk in disks:
        pair = disk + "-ours", disk + "-theirs", PEER
        for mode in "randread", "randwrite":
            for depth in 1, 32, 128:
                yield ("%s %s 4K depth %d" % (disk, mode, depth), *pair, ["mode", mode, "depth", str(depth)])
        if disk == "null":
            for depth in 1, 32:
                yield ("null randread 4K depth %d, client polls" % depth, *pair,
                       ["mode", "randread", "depth", str(depth), "wait", "poll"])
        for mode in "read", "write":
            yield ("%s %s 1M depth 4" % (disk, mode), *pair, ["mode", mode, "size", "1M", "depth", "4"])
    for disk in disks[1:]:
        for mode in "randread", "randwrite":
            for depth in 1, 32, 128:
                yield ("mirror on %s %s 4K depth %d" % (disk, mode, depth), "mirror-" + disk, disk + "-ours",
                       "a plain file of ours", ["mode", mode, "depth", str(depth)])


def run(servers, disks, arguments, out):
    print("%-36s %10s %10s %6s %12s %10s %6s" % ("", "requests/s", "theirs", "ratio", "per cpu s", "theirs", "ratio"))
    for case, ours, theirs, peer, options in cases_of(disks):
        if arguments.only and not all(word in case for word in arguments.only):
            continue
        options = options + ["seconds", str(arguments.seconds)]
        figures = {ours: [], theirs: []}
        for _ in range(arguments.rounds):
            for name in ours, theirs:
                figures[name].append(servers.measure(name, options))
        one = out.add("block", case, "requests", arguments.seconds, peer, figures[ours], figures[theirs])
        print("%-36s %10.0f %10.0f %6.2f %12.0f %10.0f %6.2f" %
              (case, one["ours"]["rate"], one["theirs"]["rate"], one["ratio"]["rate"], one["ours"]["per_cpu"],
               one["theirs"]["per_cpu"], one["ratio"]["per_cpu"]), flush=True)


def main():
    parser = argparse.ArgumentParser(description="block devices over vhost-user, beside " + PEER)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 5)))
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--only", action="append", help="cases whose name has all of these")
    arguments = parser.parse_args()
    for program in SERVER, CLIENT, PEER:
        if not shutil.which(program):
            sys.exit("%s is not there: make bench builds and installs what it needs" % program)
    out = results.Results()
    out.peer(PEER, subprocess.run([PEER, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0])
    print("vhost-user-blk, %d rounds of %g s, load %.1f" % (arguments.rounds, arguments.seconds, os.getloadavg()[0]))
    with tempfile.TemporaryDirectory(dir=os.path.join(results.ROOT, "build")) as disk_folder, \
            tempfile.TemporaryDirectory(dir="/dev/shm") as memory_folder:
        servers = Servers(disk_folder)
        try:
            run(servers, start_disks(servers, disk_folder, memory_folder), arguments, out)
        finally:
            servers.end()
    print(out.path)


if __name__ == "__main__":
    main()
