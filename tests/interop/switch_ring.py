#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Stations of a network that may have loops, for switch_ring_test.sh: each sends a numbered broadcast now and then, and counts what it
hears of the others'. Each second a line: how many came again until then, how often the one that came most often did, and who has heard
all others in the last second.

Usage: switch_ring.py INTERFACE..."""
import select
import socket
import sys
import time

KIND = 0x88b5
INTERVAL = 0.02
OUTGOING = 4  # PACKET_OUTGOING


def main(names):
    socks = []
    for name in names:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(KIND))
        sock.bind((name, KIND))
        sock.setblocking(False)
        socks.append(sock)
    heard = [{} for _ in socks]
    lately = [set() for _ in socks]
    number = again = most = 0
    poll = select.poll()
    for sock in socks:
        poll.register(sock, select.POLLIN)
    begun = due = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= due:
            number += 1
            for i, sock in enumerate(socks):
                try:
                    sock.send(b"\xff" * 6 + bytes([2, 0, 0, 0, 0xc0, i]) + KIND.to_bytes(2, "big") +
                              number.to_bytes(8, "big") + bytes(38))
                except OSError:
                    pass
            due = now + INTERVAL
        poll.poll(max(0, due - time.monotonic()) * 1000)
        for i, sock in enumerate(socks):
            for _ in range(256):
                try:
                    frame, where = sock.recvfrom(256)
                except BlockingIOError:
                    break
                if where[2] == OUTGOING or frame[10] != 0xc0:
                    continue
                key = frame[11], int.from_bytes(frame[14:22], "big")
                heard[i][key] = heard[i].get(key, frame[11] == i) + 1
                again += heard[i][key] > 1
                most = max(most, heard[i][key])
                lately[i].add(frame[11])
        if now - begun >= 1:
            begun = now
            full = [name for i, name in enumerate(names) if len(lately[i]) == len(names) - 1]
            print(again, most, *full, flush=True)
            lately = [set() for _ in socks]


main(sys.argv[1:])
