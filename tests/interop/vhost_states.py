# SPDX-License-Identifier: BSD-2-Clause
"""More of what vhost_hostile.py does to a switch, or to a disk's server: states that a front-end may bring a device into, each by itself."""
import fcntl
import os
import signal
import socket
import struct

import vhost_guest
from vhost_guest import *

ASKS = GET_FEATURES, GET_PROTOCOL, GET_QUEUE_NUM, GET_SLOTS, GET_STATUS
F_ADD_SEALS, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE = 1033, 8, 16


class Stops:
    """A connection whose process is stopped, as by SIGSTOP, when it has sent so many messages."""

    def __init__(self, peer, left):
        self.peer, self.left = peer, left

    def sendmsg(self, *arguments):
        self.peer.sendmsg(*arguments)
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)


def handshake(peer, rng):
    """Stopped behind a message of those that set a device up, of which nobody takes the answers; then killed."""
    child = os.fork()
    if not child:
        try:
            stops = Stops(peer, rng.randrange(1, 18))
            for request in rng.sample(ASKS, 2):
                send(stops, message(request))
            guest = Guest(stops)
            guest.show()
            guest.kick()
            stops.left = 1
            send(stops, message(GET_FEATURES))
        finally:
            os._exit(1)  # it was hung up on
    if not os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
        return
    for _ in range(3):
        vhost_guest.neighbours.pass_frame() if not DISK else None
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def regions(peer, rng):
    """Memory that overlaps, wraps round, is given twice, is longer than its file, comes and goes while frames do."""
    guest = Guest(peer)
    guest.show(rng.randrange(QUEUE))
    guest.kick()
    top = (1 << 64) - 1
    for _ in range(20):
        table = rng.choice((
            [(GUEST, SIZE, USER, 0)] * 2,
            [(GUEST, SIZE, USER, 0), (GUEST + SIZE // 2, SIZE, USER + SIZE, 0)],
            [(GUEST, SIZE, USER, 0), (GUEST + SIZE, SIZE, USER + SIZE // 2, 0)],
            [(GUEST, SIZE, USER, 0), (GUEST + SIZE, SIZE, USER + SIZE, 0)],
            [(top - SIZE, SIZE, USER, 0)], [(top - SIZE + 2, SIZE, USER, 0)], [(GUEST, SIZE, top - SIZE + 2, 0)],
            [(GUEST, SIZE, USER, top - SIZE + 2)], [(GUEST, SIZE, USER, 4096)], [(GUEST, SIZE + 1, USER, 0)], [(GUEST, 0, USER, 0)],
            [(GUEST, SIZE - 1, USER, 1)], [(GUEST + 3, SIZE, USER + 5, 0)],
            [(GUEST + i * 4096, 4096, USER + i * 4096, i * 4096) for i in range(8)], []))
        what = rng.choice((SET_MEM_TABLE, ADD_MEM, REM_MEM))
        if what == SET_MEM_TABLE:
            data = struct.pack("<II", len(table), 0) + b"".join(struct.pack("<QQQQ", *region) for region in table)
            send(peer, message(what, data, 9), [guest.fd] * len(table))
        elif table:
            send(peer, message(what, struct.pack("<QQQQQ", 0, *table[-1]), 9), [guest.fd])
        guest.show(rng.randrange(8))
        guest.kick()
        if not rng.randrange(4):
            guest.table()
        drain(peer)
    guest.end()


def unwritable(peer, rng):
    """Rings and buffers in memory that nobody may write to, from the beginning or later."""
    fd = memory()
    kind = rng.randrange(3)
    if kind == 0:
        read_only = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
        os.close(fd)
        fd = read_only
    elif kind == 1:
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)
    good = Guest(peer)
    if kind == 2:
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)
    good.show(100)
    good.kick()
    for request in SET_MEM_TABLE, ADD_MEM:
        head = struct.pack("<II", 1, 0) if request == SET_MEM_TABLE else bytes(8)
        address = GUEST if request == SET_MEM_TABLE else GUEST + 4 * SIZE
        send(peer, message(request, head + struct.pack("<QQQQ", address, SIZE, USER, 0), 9), [fd])
    good.kick()
    os.close(fd)
    good.end()


def jump(peer, rng):
    """Indexes that jump, chains that bite their tail, lengths and flags at random, under a device that runs."""
    guest = Guest(peer, features=VERSION_1 | PROTOCOL | rng.choice((0, PACKED, INDIRECT, EVENT, PACKED | INDIRECT | EVENT)))
    for _ in range(200):
        queue = rng.choice(guest.queues)
        at = queue * 0x8000
        what = rng.randrange(5)
        if what == 0:
            guest.map[at + 0x2002:at + 0x2004] = struct.pack("<H", rng.choice((0, 1, QUEUE, QUEUE + 1, 0x7fff, 0x8000, 0xffff, rng.randrange(65536))))
        elif what == 1:
            guest.map[at + 0x4002:at + 0x4004] = rng.randbytes(2)
        elif what == 2:
            i = rng.randrange(QUEUE)
            guest.map[at + 16 * i:at + 16 * i + 16] = struct.pack(
                "<QIHH", rng.choice((GUEST, GUEST + BUFFERS, GUEST + SIZE - 1, (1 << 64) - 1)), rng.choice((0, 1, 12, 16, 72, 4096, 0x7fffffff, 0xffffffff)),
                rng.choice((0, 1, 2, 3, 4, 5, 0x80, 0x8000, 0x8080)), rng.choice((i, rng.randrange(QUEUE), 0xffff)))
        elif what == 3:
            guest.show(rng.randrange(QUEUE))
        else:
            send(peer, message(GET_VRING_BASE, struct.pack("<II", queue, 0)))
            guest.ring(queue)
        guest.kick()
        drain(peer)
    guest.end()


def states(peer, rng):
    """Enabled, disabled, reset, announced, other features, another MTU, without a pause and under traffic."""
    guest = Guest(peer, protocol=1 | 1 << 1 | 1 << 3 | 1 << 13 | 1 << 15 | 1 << 16 | (0 if DISK else 1 << 2 | 1 << 4))
    for _ in range(300):
        guest.show(rng.randrange(16))
        guest.kick()
        what = rng.choice((SET_VRING_ENABLE,) * 6 + (RESET_DEVICE, SET_STATUS, SET_FEATURES, RESET_OWNER) + (() if DISK else (SEND_RARP, SEND_RARP, SET_MTU)))
        if what == SET_VRING_ENABLE:
            body = struct.pack("<II", rng.choice(guest.queues), rng.randrange(2))
        elif what == SEND_RARP:
            body = rng.choice((b"\x02hosti", b"\xff" * 6, bytes(6))) + bytes(2)
        elif what in (RESET_DEVICE, RESET_OWNER):
            body = b""
        else:
            body = struct.pack("<Q", {SET_MTU: rng.choice((68, 1500, 65535)), SET_STATUS: rng.choice((0, 0, 15, 0x8f)),
                                      SET_FEATURES: VERSION_1 | PROTOCOL | rng.choice((0, EVENT))}[what])
        send(peer, message(what, body, 9))
        if what in (RESET_DEVICE, SET_STATUS):
            if what == RESET_DEVICE:
                send(peer, message(SET_FEATURES, struct.pack("<Q", VERSION_1 | PROTOCOL)))
            for queue in guest.queues:
                guest.ring(queue)
        drain(peer)
    guest.end()


def connects(peer, rng):
    """As many connections a second as there can be, some of which say something."""
    peer.close()
    for i in range(3000):
        with socket.socket(socket.AF_UNIX) as one:
            if one.connect_ex(f"{vhost_guest.neighbours.directory}/e.sock"):
                continue
            if not i % 7:
                try:
                    one.send(message(GET_FEATURES)[:rng.randrange(1, 13)])
                except OSError:
                    pass


def queues(peer, rng):
    """Four pairs of queues that come and go, are enabled and disabled, and broken, each by itself."""
    guest = Guest(peer, features=VERSION_1 | PROTOCOL | 1 << 22 | 1 << 21, pairs=4)
    for _ in range(150):
        guest.show(rng.randrange(16))
        guest.kick()
        queue = rng.choice(guest.queues)
        what = rng.randrange(4)
        if what == 0:
            send(peer, message(SET_VRING_ENABLE, struct.pack("<II", queue, rng.randrange(2)), 9))
        elif what == 1:
            send(peer, message(GET_VRING_BASE, struct.pack("<II", queue, 0)))
            guest.ring(queue)
        elif what == 2 and not rng.randrange(8):
            guest.map[queue * 0x8000 + 0x2002:queue * 0x8000 + 0x2004] = b"\xff\x7f"
        else:
            guest.table()
        drain(peer)
    guest.end()
