# SPDX-License-Identifier: BSD-2-Clause
"""Numbered frames through a switch and DPDK, either of which is killed (SIGKILL), in turn, while they pass.

usage: switch_dpdk_kill.py DIRECTORY KILLS SWITCH PMD

SWITCH and PMD are the commands, of the shell, that start them. Frames go in at x.sock of DIRECTORY, to DPDK's first port, whose second one sends them
on to y.sock; they are of 64 flows of UDP. After each kill they have to come again; in the end a stretch of them has to come whole and once. Prints what was lost, and what
came twice, at most 32 for each kill of a switch (what one has in its hands).
"""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

WINDOW, STRETCH, SILENCE = 200, 3000, 1.0
HEAD = bytes.fromhex("020000000099" "020000000001" "0800")


def frame(number):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 8 + 8 + 150, 0, 0, 64, 17, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
    udp = struct.pack(">HHHH", 1024 + number % 64, 9, 8 + 8 + 150, 0)
    return HEAD + ip + udp + struct.pack(">II", number, ~number & 0xffffffff) + bytes([number & 255]) * 150


class End:
    """A connection as QEMU's to a port `qemu-stream`, made again whenever there is none."""

    def __init__(self, path):
        self.path, self.socket, self.got, self.left = path, None, b"", b""

    def ready(self):
        if not self.socket:
            end = socket.socket(socket.AF_UNIX)
            if end.connect_ex(self.path):
                end.close()
                return False
            end.setblocking(False)
            self.socket, self.got, self.left = end, b"", b""
        return True

    def gone(self):
        self.socket.close()
        self.socket = None

    def send(self, data):
        """False: not now."""
        if not self.ready():
            return False
        self.left = self.left or struct.pack(">I", len(data)) + data
        try:
            self.left = self.left[self.socket.send(self.left):]
        except BlockingIOError:
            return False
        except OSError:
            self.gone()
            return False
        return not self.left

    def take(self):
        if not self.ready():
            return
        try:
            more = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self.gone()
            return
        self.got += more
        while len(self.got) >= 4:
            end = 4 + struct.unpack(">I", self.got[:4])[0]
            if len(self.got) < end:
                break
            yield self.got[4:end]
            self.got = self.got[end:]


class Traffic:
    def __init__(self, directory):
        self.ends = End(f"{directory}/x.sock"), End(f"{directory}/y.sock")
        self.sent, self.came, self.on_way, self.heard, self.wrong = 0, {}, 0, time.monotonic(), 0
        self.silence = SILENCE

    def step(self, sending=True):
        for _ in self.ends[0].take() or ():
            pass
        for got in self.ends[1].take() or ():
            if len(got) < 200:  # neither is one's stack's
                continue
            number = struct.unpack(">I", got[42:46])[0]
            if got != frame(number) or number >= self.sent:
                self.wrong += 1
                continue
            self.came[number] = self.came.get(number, 0) + 1
            self.on_way = max(0, self.on_way - 1)
            self.heard = time.monotonic()
        if time.monotonic() - self.heard > self.silence:
            self.on_way, self.heard = 0, time.monotonic()
        while sending and self.on_way < WINDOW and self.ends[1].socket and self.ends[0].send(frame(self.sent)):
            self.sent += 1
            self.on_way += 1
        select.select([end.socket for end in self.ends if end.socket], [], [], 0.002)

    def pass_stretch(self, what):
        """Until so many have come that were sent from now on."""
        first, until = self.sent, time.monotonic() + 120
        while sum(number >= first for number in list(self.came)[-2 * STRETCH:]) < STRETCH:
            self.step()
            if time.monotonic() > until:
                raise SystemExit(f"FAILED: frames do not pass {what}: {self.sent} sent, {len(self.came)} came")

    def drain(self, seconds=3 * SILENCE, done=lambda: False):
        until = time.monotonic() + seconds
        while time.monotonic() < until and not done():
            self.step(False)
        self.on_way, self.heard = 0, time.monotonic()


def start(command):
    return subprocess.Popen(["bash", "-c", f"exec {command}"], start_new_session=True)


def main():
    directory, kills, commands = sys.argv[1], int(sys.argv[2]), sys.argv[3:5]
    # Who is timed out ends what he started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("FAILED: it takes too long"))
    running = [start(command) for command in commands]
    traffic, names = Traffic(directory), ("the switch", "DPDK")
    try:
        traffic.pass_stretch("at the beginning")
        for kill in range(kills):
            which = kill % 2
            for _ in range(20 + 13 * kill % 50):
                traffic.step()
            os.kill(running[which].pid, signal.SIGKILL)
            running[which].wait()
            if which:
                for name in "ab":
                    os.unlink(f"{directory}/{name}.sock")
            running[which] = start(commands[which])
            traffic.pass_stretch(f"after {names[which]} was killed ({kill + 1})")
        traffic.drain()
        first = traffic.sent
        # None is to be lost, so none is sent in place of one that is not here in a second, as where the machine is busy: that could be more than rings hold.
        traffic.silence = 120
        traffic.pass_stretch("in the end")
        last = traffic.sent
        traffic.drain(60, lambda: all(number in traffic.came for number in range(first, last)))
        traffic.drain()
    finally:
        for process in running:
            process.kill()
            process.wait()
    lost = sum(number not in traffic.came for number in range(traffic.sent))
    twice = sum(count - 1 for count in traffic.came.values())
    missing = [number for number in range(first, last) if traffic.came.get(number) != 1]
    print(f"{kills} kills: sent {traffic.sent} lost {lost} twice {twice} wrong {traffic.wrong}")
    if missing or traffic.wrong or twice > 32 * ((kills + 1) // 2):
        raise SystemExit(f"FAILED: not once each: {len(missing)} of {last - first} frames with nobody killed ({missing[:5]})")


main()
