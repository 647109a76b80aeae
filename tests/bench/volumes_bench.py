#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
What changes and listings of a large group cost: volumes_bench.py TENON FOLDER [--volumes N] [--pvs N] [--rounds N].

One group, made once: N volumes on one PV that has the metadata (many_volumes.py), and other PVs without. tenon works on the images, lvm2 on
loop devices of them, which are attached for its turn alone; figures are processor time (user and system) of a command, medians of the rounds. With a server
it is that of the command and the server together.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

NAMES = ("list", "show", "create", "extend", "remove")
FOLDER = os.path.dirname(os.path.realpath(__file__))


def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def of_process(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(words, **options):
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.returncode}: {done.stderr.decode()}")


class Loops:
    """All images on loop devices, for as long as it is entered; `config` has lvm2 see these alone."""

    def __init__(self, count):
        self.count, self.devices, self.config = count, [], ""

    def __enter__(self):
        with open("loops", "w") as kept:
            for i in range(self.count):
                loop = subprocess.run(["losetup", "-f", "--show", f"p{i}.img"], stdout=subprocess.PIPE, check=True)
                self.devices.append(loop.stdout.decode().strip())
                kept.write(self.devices[-1] + "\n")
                kept.flush()
        self.config = config_of(self.devices)
        return self

    def __exit__(self, *_):
        run(["losetup", "-d", *self.devices])
        self.devices = []
        os.unlink("loops")


class Tool:
    """`verbs` says the commands, of a configuration. With `loops` these are there for each of its turns."""

    def __init__(self, verbs, loops=None, server=None):
        self.verbs, self.loops, self.server = verbs, loops, server
        self.figures = {name: [] for name in NAMES}

    def measure_once(self, name, config):
        before = spent(), of_process(self.server) if self.server else 0
        run(self.verbs(config)[name])
        after = spent(), of_process(self.server) if self.server else 0
        self.figures[name].append((after[0] - before[0] + after[1] - before[1]) * 1000)

    def measure(self, name):
        if not self.loops:
            self.measure_once(name, None)
            return
        with self.loops as loops:
            self.measure_once(name, loops.config)


def one_of(given):
    return f"vg0/lv{given.volumes // 2:05d}"


def of_tenon(tenon, one):
    return {
        "list": [tenon, "lv", "list"],
        "show": [tenon, "lv", "show", one],
        "create": [tenon, "lv", "create", "vg0/ours", "--size", "1M"],
        "extend": [tenon, "lv", "extend", "vg0/ours", "--size", "+1M"],
        "remove": [tenon, "lv", "remove", "vg0/ours", "--yes"],
    }


def of_lvm(config, one):
    def lvm(verb, *words):
        return ["lvm", verb, "--driverloaded", "n", "--config", config, *words]
    return {
        "list": lvm("lvs", "vg0"),
        "show": lvm("lvs", one),
        "create": lvm("lvcreate", "-an", "-Zn", "-Wn", "-L", "1M", "-n", "theirs", "vg0"),
        "extend": lvm("lvextend", "-L", "+1M", "vg0/theirs"),
        "remove": lvm("lvremove", "-y", "vg0/theirs"),
    }


def config_of(loops):
    accept = ",".join(f'"a|^{loop}$|"' for loop in loops)
    return (f'devices {{ use_devicesfile=0 hints="none" filter=[{accept},"r|.*|"] obtain_device_list_from_udev=0 '
            'external_device_info_source="none" } backup { backup=0 archive=0 } '
            'global { event_activation=0 use_lvmpolld=0 } activation { udev_sync=0 monitoring=0 }')


def make_group(tenon, volumes, pvs):
    for i in range(pvs):
        with open(f"p{i}.img", "wb") as image:
            image.truncate((2 << 30) if i == 0 else (64 << 20))
    run([tenon, "vg", "create", "vg0", "p0.img", "--metadata-size", "64M", "--extent-size", "128K"])
    run([sys.executable, os.path.join(FOLDER, "many_volumes.py"), "p0.img", str(volumes)])
    loops = Loops(pvs)
    with loops:
        for verb, words in (("pvcreate", ["--metadatacopies", "0"]), ("vgextend", ["vg0"])):
            if pvs > 1:
                run(["lvm", verb, "--driverloaded", "n", "--config", loops.config, *words, *loops.devices[1:]])
    return loops


def rounds_of(tools, rounds):
    for _ in range(rounds):
        for name in NAMES:
            for tool in tools:
                tool.measure(name)


def measure_served(given, what, server):
    while b"\nready" not in b"\n" + open("out", "rb").read():
        if server.poll() is not None:
            sys.exit(open("out").read())
        time.sleep(0.1)
    served = Tool(lambda _: of_tenon(given.tenon, one_of(given)), server=server.pid)
    rounds_of([served], max(given.rounds, 21))
    for name, all_of in served.figures.items():
        print(f"{what}, served, {name}: {statistics.mean(all_of):.1f} ms, median {statistics.median(all_of):.1f} ms", flush=True)
    memory = next(int(line.split()[1]) for line in open(f"/proc/{server.pid}/status") if line.startswith("VmRSS"))
    print(f"{what}, served: memory {memory / 1024:.0f} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tenon")
    parser.add_argument("folder")
    parser.add_argument("--volumes", type=int, default=10000)
    parser.add_argument("--pvs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    os.chdir(given.folder)
    os.environ.update(TENON_RUNTIME_DIR=given.folder + "/run", TENON_DEVICES_FILE=given.folder + "/none",
                      TENON_DEVICES=given.folder + "/p*.img", TENON_ARCHIVE="off")
    loops = make_group(given.tenon, given.volumes, given.pvs)
    one = one_of(given)
    ours, theirs = Tool(lambda _: of_tenon(given.tenon, one)), Tool(lambda config: of_lvm(config, one), loops)
    rounds_of([ours, theirs], given.rounds)
    what = f"{given.volumes} volumes on {given.pvs} PVs"
    for name in ours.figures:
        one, other = statistics.median(ours.figures[name]), statistics.median(theirs.figures[name])
        print(f"{what}, {name}: {one:.1f} ms, lvm2 {other:.1f} ms; times {other / one:.1f}", flush=True)
    with open("out", "wb") as out:
        server = subprocess.Popen([given.tenon, "serve", "--socket-dir", "s", "vg0"], stdout=out, stderr=out)
    try:
        measure_served(given, what, server)
    finally:
        server.terminate()
        server.wait()


main()
