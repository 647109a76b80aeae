# SPDX-License-Identifier: BSD-2-Clause
"""Counts the ICMP echo requests and replies in a pcap or pcapng file. Usage: capture.py FILE"""
import struct, sys

data = open(sys.argv[1], "rb").read()
frames = []
if data[:4] == b"\n\r\r\n":
    at = 0
    while at + 12 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:
            length = struct.unpack_from("<I", data, at + 20)[0]
            frames.append(data[at + 28:at + 28 + length])
        at += max(size, 12)
else:
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
icmp = [f[34] for f in frames if f[12:14] == b"\x08\x00" and f[23:24] == b"\x01"]
print(f"{len(frames)} frames, {icmp.count(8)} echo requests, {icmp.count(0)} echo replies")
sys.exit(0 if icmp.count(8) and icmp.count(0) else 1)
