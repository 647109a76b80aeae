#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
A user of a lease (lib/block/lease.h) that stops in the middle of a write, at the point that no signal finds.

    lease_inside.py CONTROL-SOCKET VG/LV [lie]

says "ready", stops itself, and when it goes on writes to the first block of the disk, leaves, says what of the lease is over, and ends.
With `lie` it is not stopped and never leaves: it says more often that it is inside than there are threads, and that nothing is over.
"""
import array
import json
import mmap
import os
import signal
import socket
import struct
import sys
import time

HEAD, FILE, EXTENT, AREA = 32, 16 * 16, 32 * 4096, 16 * 4096  # of struct lease_page
OVER = (HEAD + FILE + EXTENT + AREA + 63) // 64 * 64
INSIDE = OVER + 64


def call(path, method, params):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n").encode())
    return json.loads(client.makefile("r").readline())["result"]


def take(path, name):
    disk = call(path, "export.attach", {"name": name, "shared": True})
    client = socket.socket(socket.AF_UNIX)
    client.connect(disk["lease"])
    client.sendall(name.encode().ljust(512, b"\0") + disk["id"].encode().ljust(32, b"\0"))
    answer, control, _, _ = client.recvmsg(4, socket.CMSG_SPACE(17 * 4))
    fds = array.array("i")
    for _, _, data in control:
        fds.frombytes(data[:len(data) - len(data) % 4])
    if struct.unpack("<i", answer)[0] or len(fds) < 2:
        sys.exit("no lease: %s" % answer)
    return client, fds


connection, descriptors = take(sys.argv[1], sys.argv[2])
page = mmap.mmap(descriptors[0], INSIDE + 64)
offset = struct.unpack_from("<Q", page, HEAD + FILE + EXTENT)[0]
block = mmap.mmap(-1, 4096)
block.write(b"inside  " * 512)
lies = sys.argv[3:] == ["lie"]
struct.pack_into("<I", page, INSIDE, 0xffffffff if lies else 1)
connection.send(b"nothing that is understood")
print("ready", flush=True)
while lies:
    # Not the other again: what writes a number here may write zero first.
    struct.pack_into("<I", page, OVER, 0)
    time.sleep(0.001)
os.kill(os.getpid(), signal.SIGSTOP)
os.pwritev(descriptors[1], [block], offset)
struct.pack_into("<I", page, INSIDE, 0)
print("over %d" % struct.unpack_from("<I", page, OVER)[0], flush=True)
