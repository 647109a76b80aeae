#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Volumes of `tenon serve`, linear and striped, in each of the ways that they are reached, beside what does the same to a plain
file in the same folder. The two of a case are measured in turn (A B A B ...), and the ratio is the median of the rounds' own.
Nothing is asserted; results.py says what is written where.

    served_bench.py [--rounds N] [--seconds S] [--only WORD]... [--folder DIR]

    server      a guest's virtqueue (vhost_user_blk_bench), beside fio with io_uring on the file (what of the disk arrives), and beside
                qemu-storage-daemon with the file and the same client. Both servers are bound to processor 0, as fio is beside the file.
    core        the same, client and server together on processor 0, as fio is beside the file, and also by a server with --pin-memory;
                processor time is that of both
    nbd         fio's nbd engine at nbdkit with our plugin (a linear, and a striped volume), and with nbdkit's file plugin
    fuse        fio with io_uring at a file of `tenon mount`, and at the plain file through libfuse's example passthrough_ll, which does not
                know direct I/O; both without the kernel's cache
    move        `lv move` of a volume in use, beside `dd` of as much; and how long a guest's reads take meanwhile (p50, p99)

nbd and fuse are in memory (/dev/shm), for what they are beside goes through the page cache. Processor time is the server's: of nbd that of nbdkit and `tenon serve` together, of fuse of the mount and `tenon serve`;
fio's is that of its job and of the kernel's threads of its ring.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import results

TENON = os.environ.get("TENON", os.path.join(results.ROOT, "build/tenon"))
PLUGIN = os.path.join(results.ROOT, "build/nbdkit-tenon-plugin.so")
CLIENT = os.path.join(results.ROOT, "build/tests/bench/vhost_user_blk_bench")
EXAMPLES = "/usr/share/doc/libfuse3-dev/examples"
SIZE = 256 << 20
TICK = os.sysconf("SC_CLK_TCK")


def bound(processor):
    return ["taskset", "-c", str(processor)] if len(os.sched_getaffinity(0)) > 1 else []


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit("%s: %s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def cpu_of(pids):
    """Seconds that the processes have run, with their rings' threads."""
    ticks = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


class RingThreads:
    """Processor time of the kernel's threads of a process's rings (io-wq), which fio does not count as its job's; a server's are in cpu_of()."""

    def __init__(self, pid):
        self.tasks, self.spent, self.ended = "/proc/%d/task" % pid, {}, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.ended.wait(0.02):
            with contextlib.suppress(OSError):
                for task in os.listdir(self.tasks):
                    with open("%s/%s/comm" % (self.tasks, task), encoding="utf-8", errors="replace") as comm:
                        if not comm.read().startswith("iou-wrk"):
                            continue
                    with open("%s/%s/schedstat" % (self.tasks, task), encoding="utf-8") as stat:
                        self.spent[task] = int(stat.read().split()[0]) / 1e9

    def end(self):
        self.ended.set()
        self.thread.join()
        return sum(self.spent.values())


class Bench:
    """The folder with everything in it; what is started is ended, what is mounted is unmounted."""

    def __init__(self, folder, arguments):
        self.folder, self.arguments, self.processes, self.mounts = folder, arguments, [], []
        self.environment = dict(os.environ, TENON_RUNTIME_DIR=self.at("run"), TENON_DEVICES_FILE=self.at("none"),
                                TENON_DEVICES=":".join(self.at(name) for name in ("a.img", "b.img", "c.img", "d.img")),
                                TENON_STATE_DIR=self.at("state"))

    def at(self, name):
        return os.path.join(self.folder, name)

    def tenon(self, *words):
        return run([TENON, *words], env=self.environment)

    def start(self, command, ready):
        with open(self.at("log"), "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment)
        self.processes.append(process)
        for _ in range(600):
            if ready():
                return process
            if process.poll() is not None:
                break
            time.sleep(0.05)
        with open(self.at("log"), encoding="utf-8", errors="replace") as log:
            sys.exit("%s does not start: %s" % (command, log.read()))

    def prepare(self):
        with open(self.at("raw.img"), "wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
            file.flush()
            os.fsync(file.fileno())
        for name in "abcd":
            with open(self.at(name + ".img"), "wb") as file:
                file.truncate(2 * SIZE + (64 << 20))
        self.tenon("vg", "create", "vg", self.at("a.img"), self.at("b.img"), self.at("c.img"))
        self.tenon("lv", "create", "vg/linear", "--size", "%dB" % SIZE, self.at("a.img"))
        self.tenon("lv", "create", "vg/striped", "--size", "%dB" % SIZE, "--stripes", "2", self.at("a.img"), self.at("b.img"))
        for volume in "vg/linear", "vg/striped":
            self.tenon("copy", self.at("raw.img"), volume)
        self.server = self.start(bound(0) + [TENON, "serve", "vg", "--socket-dir", self.at("s")],
                                 lambda: os.path.exists(self.at("s/vg-striped.sock")))
        self.qsd = self.start(bound(0) + ["qemu-storage-daemon", "--blockdev",
                                          "file,filename=%s,cache.direct=on,aio=io_uring,locking=off,node-name=n" % self.at("raw.img"),
                                          "--export", "vhost-user-blk,id=e,node-name=n,writable=on,addr.type=unix,addr.path=" +
                                          self.at("qsd.sock")], lambda: os.path.exists(self.at("qsd.sock")))

    def end(self):
        for mount in self.mounts:
            subprocess.run(["umount", mount], check=False)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()

    # ---- Measuring: (requests a second, requests a second of processor time) ----

    def client(self, socket, process, mode, size, depth, processor=1):
        words = run(bound(processor) + [CLIENT, socket, "pid", str(process.pid), "mode", mode, "size", size, "depth", str(depth),
                                "span", "256M", "seconds", str(self.arguments.seconds)]).split()
        values = dict(zip(words[::2], words[1::2]))
        return float(values["iops"]), float(values["per_cpu_second" if processor else "per_cpu_second_of_both"])

    def fio(self, mode, size, depth, pids, processor, *more):
        before = cpu_of(pids)
        command = bound(processor) + [
            "fio", "--name=j", "--rw=" + mode, "--bs=" + size, "--iodepth=%d" % depth, "--size=%d" % SIZE, "--time_based",
            "--runtime=%gs" % max(1, self.arguments.seconds), "--output-format=json", "--thread", *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as fio:
            ring = RingThreads(fio.pid)
            said = fio.communicate()[0]
            of_ring = ring.end()
        if fio.returncode:
            sys.exit("%s: %s" % (" ".join(command), said))
        job = json.loads(said[said.index("{"):])["jobs"][0]
        spent = cpu_of(pids) - before
        side = job["write" if "write" in mode else "read"]
        if not pids:
            spent = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000 + of_ring
        return side["iops"], side["total_ios"] / spent if spent else 0

    def file(self, path, mode, size, depth, pids=(), processor=0, direct=1):
        return self.fio(mode, size, depth, pids, processor, "--ioengine=io_uring", "--direct=%d" % direct, "--filename=" + path)

    def nbd(self, socket, mode, size, depth, pids):
        return self.fio(mode, size, depth, pids, 1, "--ioengine=nbd", "--uri=nbd+unix:///?socket=" + socket)


SHAPES = [("randread", "4K", 32), ("randwrite", "4K", 32), ("read", "1M", 4), ("write", "1M", 4)]


def shapes():
    for mode, size, depth in SHAPES:
        yield "%s %s depth %d" % (mode, size, depth), mode, size, depth


def server_cases(bench):
    for volume in "linear", "striped":
        socket = bench.at("s/vg-%s.sock" % volume)
        for name, *shape in shapes():
            def ours(socket=socket, shape=shape):
                return bench.client(socket, bench.server, *shape)
            yield ("server %s %s" % (volume, name), "fio on the file", ours,
                   lambda shape=shape: bench.file(bench.at("raw.img"), *shape))
            yield ("server %s %s, daemon" % (volume, name), "qemu-storage-daemon", ours,
                   lambda shape=shape: bench.client(bench.at("qsd.sock"), bench.qsd, *shape))


def core_cases(bench):
    bench.tenon("vg", "create", "pinned", bench.at("d.img"))
    bench.tenon("lv", "create", "pinned/linear", "--size", "%dB" % SIZE)
    bench.tenon("copy", bench.at("raw.img"), "pinned/linear")
    pinned = bench.start(bound(0) + [TENON, "serve", "pinned", "--socket-dir", bench.at("p"), "--pin-memory"],
                         lambda: os.path.exists(bench.at("p/pinned-linear.sock")))
    for name, *shape in shapes():
        def ours(shape=shape):
            return bench.client(bench.at("s/vg-linear.sock"), bench.server, *shape, 0)
        yield ("one core " + name, "fio on the file", ours, lambda shape=shape: bench.file(bench.at("raw.img"), *shape))
        yield ("one core %s, pinned" % name, "fio on the file",
               lambda shape=shape: bench.client(bench.at("p/pinned-linear.sock"), pinned, *shape, 0),
               lambda shape=shape: bench.file(bench.at("raw.img"), *shape))
        yield ("one core %s, daemon" % name, "qemu-storage-daemon", ours,
               lambda shape=shape: bench.client(bench.at("qsd.sock"), bench.qsd, *shape, 0))
    pinned.send_signal(signal.SIGTERM)
    pinned.wait()


def nbd_cases(bench):
    theirs = bench.start(["nbdkit", "-f", "-U", bench.at("theirs.nbd"), "file", bench.at("raw.img")],
                         lambda: os.path.exists(bench.at("theirs.nbd")))
    for volume in "linear", "striped":
        socket = bench.at(volume + ".nbd")
        ours = bench.start(["nbdkit", "-f", "-U", socket, PLUGIN, "volume=vg/" + volume], lambda socket=socket: os.path.exists(socket))
        for name, *shape in shapes():
            yield ("nbd %s%s" % ("" if volume == "linear" else "striped ", name), "nbdkit's file plugin",
                   lambda shape=shape, socket=socket, ours=ours: bench.nbd(socket, *shape, [ours.pid, bench.server.pid]),
                   lambda shape=shape: bench.nbd(bench.at("theirs.nbd"), *shape, [theirs.pid]))
        ours.send_signal(signal.SIGTERM)
        ours.wait()
    theirs.send_signal(signal.SIGTERM)
    theirs.wait()


def build_passthrough(bench):
    source = os.path.join(EXAMPLES, "passthrough_ll.c")
    flags = run(["pkg-config", "--cflags", "--libs", "fuse3"]).split()
    run(["cc", "-O2", "-o", bench.at("passthrough"), source, *flags])


def fuse_cases(bench):
    for folder in "ours", "theirs":
        os.mkdir(bench.at(folder))
    build_passthrough(bench)
    mount = bench.start([TENON, "mount", "vg", bench.at("ours"), "--foreground"], lambda: os.path.exists(bench.at("ours/linear")))
    bench.mounts.append(bench.at("ours"))
    passed = bench.start([bench.at("passthrough"), "-f", "-o", "source=" + bench.folder + ",cache=never", bench.at("theirs")],
                         lambda: os.path.exists(bench.at("theirs/raw.img")))
    bench.mounts.append(bench.at("theirs"))
    for name, *shape in shapes():
        yield ("fuse " + name, "passthrough_ll",
               lambda shape=shape: bench.file(bench.at("ours/linear"), *shape, [mount.pid, bench.server.pid], 1, 0),
               lambda shape=shape: bench.file(bench.at("theirs/raw.img"), *shape, [passed.pid], 1, 0))


def move_round(bench, state):
    """Moves the volume to the other PV: (MB a second, MB a second of the server's time)."""
    before, began = cpu_of([bench.server.pid]), time.monotonic()
    bench.tenon("lv", "move", "vg/linear", bench.at("c.img" if state["at"] == "a" else "a.img"))
    took = time.monotonic() - began
    state["at"] = "c" if state["at"] == "a" else "a"
    spent = cpu_of([bench.server.pid]) - before
    return SIZE / 1e6 / took, SIZE / 1e6 / spent if spent else 0


def dd_round(bench):
    began = time.monotonic()
    run(["dd", "if=" + bench.at("raw.img"), "of=" + bench.at("copy.img"), "bs=1M", "iflag=direct", "oflag=direct", "conv=fsync,notrunc"])
    return SIZE / 1e6 / (time.monotonic() - began), 0


def guest(bench, seconds):
    return run(bound(1) + [CLIENT, bench.at("s/vg-linear.sock"), "every", "1000", "seconds", "%g" % seconds, "span", "256M"]).strip()


def move(bench, out):
    state = {"at": "a"}
    ours, theirs = [], []
    for _ in range(bench.arguments.rounds):
        ours.append(move_round(bench, state))
        theirs.append(dd_round(bench))
    report(out, "lv move", "MB", "dd", ours, theirs, 1)
    print("a guest's reads, nothing else:  " + guest(bench, 2))
    mover = subprocess.Popen(["sh", "-c", "while \"$0\" lv move vg/linear \"$1\" && \"$0\" lv move vg/linear \"$2\"; do :; done", TENON,
                              bench.at("c.img" if state["at"] == "a" else "a.img"), bench.at("%s.img" % state["at"])],
                             env=bench.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(0.3)
    print("a guest's reads beside lv move: " + guest(bench, 4))
    os.killpg(mover.pid, signal.SIGTERM)
    mover.wait()


def report(out, case, unit, peer, ours, theirs, seconds):
    one = out.add("served", case, unit, seconds, peer, ours, theirs)
    print("%-46s %10.0f %10.0f %6.2f %12.0f %10.0f %6.2f" %
          (case, one["ours"]["rate"], one["theirs"]["rate"], one["ratio"]["rate"], one["ours"]["per_cpu"],
           one["theirs"]["per_cpu"], one["ratio"]["per_cpu"]), flush=True)


def measure(bench, cases, out):
    for case, peer, ours, theirs in cases:
        if bench.arguments.only and not all(word in case for word in bench.arguments.only):
            continue
        figures = [], []
        for _ in range(bench.arguments.rounds):
            figures[0].append(ours())
            figures[1].append(theirs())
        report(out, case, "requests", peer, *figures, bench.arguments.seconds)


@contextlib.contextmanager
def in_folder(place, arguments, parts, wanted):
    """A bench in a new folder there, if any of the parts is wanted."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        bench = Bench(folder, arguments)
        try:
            if any(part in parts for part in wanted):
                bench.prepare()
            yield bench
        finally:
            bench.end()


def main():
    parser = argparse.ArgumentParser(description="served volumes beside the plain file")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 5)))
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", action="append", help="cases whose name has all of these")
    parser.add_argument("--part", action="append", help="server, core, nbd, fuse, move")
    parser.add_argument("--folder", default=os.path.join(results.ROOT, "build"))
    arguments = parser.parse_args()
    for program in TENON, CLIENT, "fio", "nbdkit", "qemu-storage-daemon":
        if not shutil.which(program):
            sys.exit("%s is not there: make bench builds and installs what it needs" % program)
    out = results.Results()
    print("served volumes, %d rounds of %g s, load %.1f" % (arguments.rounds, arguments.seconds, os.getloadavg()[0]))
    print("%-46s %10s %10s %6s %12s %10s %6s" % ("", "a second", "theirs", "ratio", "per cpu s", "theirs", "ratio"))
    parts = arguments.part or ["server", "core", "nbd", "fuse", "move"]
    if "fuse" in parts and (os.geteuid() or not os.path.isdir(EXAMPLES)):
        print("fuse: needs root and libfuse's examples: not measured")
        parts.remove("fuse")
    with in_folder(arguments.folder, arguments, parts, ("server", "core", "move")) as bench:
        if "server" in parts:
            measure(bench, server_cases(bench), out)
        if "core" in parts:
            measure(bench, core_cases(bench), out)
        if "move" in parts:
            move(bench, out)
    with in_folder("/dev/shm", arguments, parts, ("nbd", "fuse")) as bench:
        if "nbd" in parts:
            measure(bench, nbd_cases(bench), out)
        if "fuse" in parts:
            measure(bench, fuse_cases(bench), out)
    print(out.path)


if __name__ == "__main__":
    main()
