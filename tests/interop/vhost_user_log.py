# SPDX-License-Identifier: BSD-2-Clause
"""A front-end that keeps a dirty log of its own memory: usage: vhost_user_log.py SOCKET PEER SWITCH FEATURES.

Frames come to it from the datagram socket PEER by the switch's SWITCH, and it sends some. Then all of its memory is compared with what it was: each page that
is not the same has its bit in the log, and no bit is set of a page in which there is no used ring and no buffer that was used.
"""
import mmap
import os
import random
import socket
import struct
import sys
import time

import vhost_guest
from vhost_guest import *

PAGE, LOG_SIZE, FRAMES = 4096, 4096, 60


def used_chains(guest, queue):
    at = queue * 0x8000 + 0x4000
    count = struct.unpack("<H", guest.map[at + 2:at + 4])[0]
    return [struct.unpack("<II", guest.map[at + 4 + 8 * i:at + 12 + 8 * i]) for i in range(count)]


def pages(address, length):
    return set(range((GUEST + address) // PAGE, (GUEST + address + max(length, 1) - 1) // PAGE + 1))


def await_answer(peer, request):
    """All that was said before has been done then."""
    got = b""
    peer.settimeout(30)
    while True:
        more = peer.recv(65536)
        if not more:
            raise SystemExit("FAILED: it hung up")
        got += more
        while len(got) >= 12 and len(got) >= 12 + struct.unpack("<III", got[:12])[2]:
            kind, _, size = struct.unpack("<III", got[:12])
            if kind == request:
                return
            got = got[12 + size:]


def main():
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
    outside = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    outside.bind(sys.argv[2])
    outside.setblocking(False)
    features = VERSION_1 | PROTOCOL | int(sys.argv[4], 0)
    guest = Guest(peer, features=features)
    log = memory(LOG_SIZE)
    bits = mmap.mmap(log, LOG_SIZE)
    send(peer, message(SET_LOG_BASE, struct.pack("<QQ", LOG_SIZE, 0)), [log])
    send(peer, message(SET_FEATURES, struct.pack("<Q", features | LOG_ALL)))
    for queue in guest.queues:
        at = USER + queue * 0x8000
        send(peer, message(SET_VRING_ADDR, struct.pack("<IIQQQQ", queue, 1, at, at + 0x4000, at + 0x2000, GUEST + queue * 0x8000 + 0x4000), 9))
    guest.show()
    before = bytes(guest.map)
    guest.kick()
    rng = random.Random(1)
    for _ in range(FRAMES):
        frame = b"\xff" * 6 + b"\x02outsi\x88\xb5" + rng.randbytes(rng.choice((46, 300, 1000, 2500, 5000)))
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                outside.sendto(frame, sys.argv[3])
                break
            except BlockingIOError:
                time.sleep(0.001)
        while True:  # what it sends itself comes here
            try:
                outside.recv(65536)
            except BlockingIOError:
                break
    if not wait(lambda: guest.used(1) == QUEUE and guest.used(0) >= FRAMES):
        raise SystemExit(f"FAILED: {guest.used(0)} and {guest.used(1)} buffers are used")
    time.sleep(0.2)
    # Stopped, so that nothing is written any more.
    for queue in guest.queues:
        send(peer, message(GET_VRING_BASE, struct.pack("<II", queue, 0)))
    send(peer, message(GET_FEATURES))
    await_answer(peer, GET_FEATURES)
    after = bytes(guest.map)
    changed = {(GUEST + at) // PAGE for at in range(0, SIZE, PAGE) if before[at:at + PAGE] != after[at:at + PAGE]}
    logged = {8 * i + bit for i in range(LOG_SIZE) for bit in range(8) if bits[i] >> bit & 1}
    may = set()
    for queue in guest.queues:
        chains = used_chains(guest, queue)
        may |= pages(queue * 0x8000 + 0x4000, 6 + 8 * QUEUE)
        for head, written in chains if not queue else ():
            may |= pages(BUFFERS + head * 1024, 1024)
            if not written or written > 1024:
                raise SystemExit(f"FAILED: {written} bytes in a buffer of 1024")
    print(f"features {features:#x}: {len(changed)} pages changed, {len(logged)} logged, {guest.used(0)} buffers used")
    if not changed - pages(0, 0x10000) or changed - logged or logged - may:
        raise SystemExit(f"FAILED: not logged {sorted(changed - logged)}, logged and not used {sorted(logged - may)}")


main()
