#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Frames whose every byte is known to who hears them, for tests with switch_lib.sh.

send INTERFACE SEED COUNT MOST     frames of 60 to MOST bytes to everybody, then a last one of the seed
hear INTERFACE SEED                until the last one of SEED: prints "listens"; then how many came whole and in order, how many otherwise,
                                   and how many of other seeds
"""
import random
import socket
import struct
import sys
import time

TYPE = b"\x88\xb5"
LAST = 0xffff


def frame(seed, number, most):
    """Its number, and a size and bytes that follow from seed, number and most."""
    known = random.Random(seed * 65536 + number)
    head = b"\xff" * 6 + bytes([2, 0, 0, 0, 0xcc, seed]) + TYPE + struct.pack("!BHH", seed, number, most)
    return head + known.randbytes((60 if number == LAST else known.choice([60, known.randint(60, most), most])) - len(head))


def open_interface(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((interface, 0x88b5))
    return sock


def send(interface, seed, count, most):
    sock = open_interface(interface)
    for number in range(int(count)):
        sock.send(frame(int(seed), number, int(most)))
        time.sleep(0.001)
    sock.send(frame(int(seed), LAST, int(most)))


def hear(interface, seed):
    sock = open_interface(interface)
    sock.settimeout(60)
    print("listens", flush=True)
    whole, wrong, others = 0, 0, 0
    while True:
        try:
            data, address = sock.recvfrom(65536)
        except TimeoutError:
            print("no last frame")
            break
        if address[2] == socket.PACKET_OUTGOING or len(data) < 19:
            continue
        its, number, most = struct.unpack("!BHH", data[14:19])
        if its != int(seed):
            others += 1
        elif number == LAST:
            break
        elif number == whole and data == frame(its, number, most):
            whole += 1
        else:
            wrong += 1
    print(whole, "whole", wrong, "wrong", others, "others")


globals()[sys.argv[1]](*sys.argv[2:])
