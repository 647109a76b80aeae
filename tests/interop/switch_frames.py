#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Frames whose every byte is known to who hears them, for tests with switch_lib.sh.

carry SEED COUNT MOST FROM INTERFACE TO INTERFACE [OTHER INTERFACE]...
	sends COUNT frames of 60 to MOST bytes, to everybody, by the namespace FROM, and prints how many came to TO whole and in order, how many otherwise,
	and how many to others, who are to hear none. No more are on their way than any queue has room for, so that a slow machine loses none.
send SEED COUNT MOST FROM INTERFACE
	sends them, and listens to nobody
"""
import ctypes
import os
import random
import select
import socket
import struct
import sys
import time

TYPE = 0x88b5
UNDERWAY = 8  # a Unix socket of datagrams has room for ten
PATIENCE = 30  # seconds
LATE = 0.2     # what others hear is not heard much later


def frame(seed, number, most):
    """Its number, and a size and bytes that follow from seed, number and most."""
    known = random.Random(seed * 65536 + number)
    head = b"\xff" * 6 + bytes([2, 0, 0, 0, 0xcc, seed]) + struct.pack("!HBHH", TYPE, seed, number, most)
    return head + known.randbytes(known.choice([60, known.randint(60, most), most]) - len(head))


def open_interface(namespace, interface):
    with open("/run/netns/" + namespace) as there, open("/proc/self/ns/net") as here:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(there.fileno(), 0):
            raise OSError(ctypes.get_errno(), namespace)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
        libc.setns(here.fileno(), 0)
    sock.bind((interface, TYPE))
    return sock


def hear(sock, seed):
    """A frame of the seed that came in there; None: something else did, or nothing."""
    try:
        data, address = sock.recvfrom(65536, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    return data if address[2] != socket.PACKET_OUTGOING and data[14] == seed else None


def carry(seed, count, most, *places):
    seed, count, most = int(seed), int(count), int(most)
    out, into, *others = [open_interface(*place) for place in zip(places[::2], places[1::2])]
    sent, whole, wrong, elsewhere = 0, 0, 0, 0
    last = time.monotonic()
    while True:
        while sent < count and sent - whole - wrong < UNDERWAY:
            out.send(frame(seed, sent, most))
            sent += 1
        done = whole + wrong >= count
        ready = select.select([into] + others, [], [], LATE if done else 1)[0]
        if not ready and (done or time.monotonic() - last > PATIENCE):
            break
        for sock in ready:
            data = hear(sock, seed)
            if data is None:
                continue
            last = time.monotonic()
            if sock != into:
                elsewhere += 1
            elif data == frame(seed, whole + wrong, most):
                whole += 1
            else:
                wrong += 1
    print(whole, "whole", wrong, "wrong", elsewhere, "elsewhere")


def send(seed, count, most, namespace, interface):
    sock = open_interface(namespace, interface)
    for number in range(int(count)):
        sock.send(frame(int(seed), number, int(most)))
        time.sleep(0.001)


globals()[sys.argv[1]](*sys.argv[2:])
