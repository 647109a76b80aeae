# SPDX-License-Identifier: BSD-2-Clause
"""A vhost-user front-end by hand: messages, and a guest whose rings are as they should be. For vhost_hostile.py."""
import array
import mmap
import os
import select
import socket
import struct
import sys
import time

SIZE = 1 << 22
GUEST, USER = 0x100000, 0x7f0000000000
QUEUE = 256
BUFFERS = 0x40000  # of all rings, from here on
(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE,
 GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, GET_PROTOCOL, SET_PROTOCOL, GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP, SET_MTU,
 SET_BACKEND_REQ_FD, IOTLB, SET_ENDIAN, GET_CONFIG, SET_CONFIG) = range(1, 26)
GET_INFLIGHT, SET_INFLIGHT, RESET_DEVICE, GET_SLOTS, ADD_MEM, REM_MEM, SET_STATUS, GET_STATUS = 31, 32, 34, 36, 37, 38, 39, 40
POSTCOPY = 28, 29, 30
DISK = len(sys.argv) > 5
QUEUES = (0,) if DISK else (0, 1)
NOFD, LOG_ALL, PROTOCOL, VERSION_1, PACKED, INDIRECT, EVENT = 1 << 8, 1 << 26, 1 << 30, 1 << 32, 1 << 34, 1 << 28, 1 << 29


def message(request, payload=b"", flags=1, size=None):
    return struct.pack("<III", request, flags, len(payload) if size is None else size) + payload


def send(peer, data, fds=()):
    peer.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def memory(size=SIZE, flags=os.MFD_ALLOW_SEALING):
    fd = os.memfd_create("hostile", flags)
    os.ftruncate(fd, size)
    return fd


class Guest:
    """A front-end that is set up as it should be: rings full of buffers and of frames."""

    def __init__(self, peer, fd=None, features=VERSION_1 | PROTOCOL, protocol=0x1 | 1 << 1 | 1 << 3 | 1 << 13 | 1 << 15, pairs=1):
        self.peer = peer
        self.fd = memory() if fd is None else fd
        self.map = mmap.mmap(self.fd, SIZE)
        self.queues = QUEUES if DISK else range(2 * pairs)
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2 * len(self.queues))]
        send(peer, message(SET_OWNER))
        send(peer, message(SET_PROTOCOL, struct.pack("<Q", protocol)))
        send(peer, message(SET_FEATURES, struct.pack("<Q", features)))
        self.table()
        for queue in self.queues:
            (self.fill_disk if DISK else self.fill)(queue)
            self.ring(queue)

    def table(self):
        send(self.peer, message(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, GUEST, SIZE, USER, 0)), [self.fd])

    def fill(self, queue):
        at = queue * 0x8000
        for i in range(QUEUE):
            buffer = BUFFERS + (queue * QUEUE + i) * 1024
            self.map[at + i * 16:at + i * 16 + 16] = struct.pack("<QIHH", GUEST + buffer, 12 + 60 if queue % 2 else 1024, 0 if queue % 2 else 2, 0)
            if queue % 2:
                self.map[buffer + 12:buffer + 72] = b"\xff" * 6 + b"\x02hosti\x88\xb5" + b"e" * 46
            self.map[at + 0x2004 + 2 * i:at + 0x2006 + 2 * i] = struct.pack("<H", i)

    def fill_disk(self, queue):
        """Requests to read, in three descriptors each."""
        for i in range(QUEUE):
            buffer = BUFFERS + i * 1024
            self.map[buffer:buffer + 16] = struct.pack("<IIQ", 0, 0, i)
            pieces = ((buffer, 16, 1), (buffer + 16, 512, 3), (buffer + 1000, 1, 2))
            at, length, flags = pieces[i % 3]
            self.map[i * 16:i * 16 + 16] = struct.pack("<QIHH", GUEST + at, length, flags, i + 1 & 0xff)
            self.map[0x2004 + 2 * i:0x2006 + 2 * i] = struct.pack("<H", i // 3 * 3)

    def show(self, count=QUEUE):
        count = count // 3 if DISK else count
        for queue in self.queues:
            at = queue * 0x8000 + 0x2002
            index = struct.unpack("<H", self.map[at:at + 2])[0]
            self.map[at:at + 2] = struct.pack("<H", index + count & 0xffff)

    def ring(self, queue):
        at = USER + queue * 0x8000
        send(self.peer, message(SET_VRING_NUM, struct.pack("<II", queue, QUEUE)))
        send(self.peer, message(SET_VRING_BASE, struct.pack("<II", queue, 0)))
        send(self.peer, message(SET_VRING_ADDR, struct.pack("<IIQQQQ", queue, 0, at, at + 0x4000, at + 0x2000, 0)))
        send(self.peer, message(SET_VRING_CALL, struct.pack("<Q", queue)), [self.kicks[queue + len(self.queues)]])
        send(self.peer, message(SET_VRING_KICK, struct.pack("<Q", queue)), [self.kicks[queue]])
        send(self.peer, message(SET_VRING_ENABLE, struct.pack("<II", queue, 1)))

    def kick(self):
        for fd in self.kicks[:len(self.queues)]:
            os.eventfd_write(fd, 1)

    def used(self, queue):
        at = queue * 0x8000 + 0x4002
        return struct.unpack("<H", self.map[at:at + 2])[0]

    def end(self):
        self.peer.close()
        for fd in self.kicks:
            os.close(fd)
        self.map.close()
        os.close(self.fd)


def wait(what, seconds=120):
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def drain(peer):
    while select.select([peer], [], [], 0)[0]:
        if not peer.recv(65536):
            raise ConnectionError
