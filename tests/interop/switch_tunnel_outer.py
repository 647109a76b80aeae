#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""IP headers of tunnels, for switch_tunnel_outer_test.sh.

inner INTERFACE       frames, by an interface without a tunnel: IPv4, IPv6 and neither
outer INTERFACE PORT  of the datagrams to that port that these frames are in, as many as they are: "listens", then sorted lines of type, traffic class
                      and ttl inside, and version, traffic class and ttl outside
"""
import socket
import struct
import sys

SOURCE = bytes.fromhex("0200000000ed")
CLASSES = 0, 0xb8, 0x49, 0x22
TTLS = 7, 200


def frames():
    begin = b"\xff" * 6 + SOURCE
    for traffic_class in CLASSES:
        for ttl in TTLS:
            yield begin + struct.pack("!HBBHHHBBH8s", 0x800, 0x45, traffic_class, 28, 0, 0, ttl, 253, 0, bytes(8)) + bytes(26)
            yield begin + struct.pack("!HIHBB", 0x86dd, 6 << 28 | traffic_class << 20, 8, 253, ttl) + bytes(40)
    yield begin + b"\x88\xb5" + bytes(range(69, 119))


def header(packet):
    """Version, traffic class, ttl, protocol, length."""
    if packet[0] >> 4 == 4:
        return 4, packet[1], packet[8], packet[9], 20
    return 6, struct.unpack("!H", packet[:2])[0] >> 4 & 0xff, packet[7], packet[6], 40


def open_interface(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((interface, 3))
    sock.settimeout(60)
    return sock


def inner(interface):
    sock = open_interface(interface)
    for frame in frames():
        sock.send(frame)


def outer(interface, port):
    sock = open_interface(interface)
    print("listens", flush=True)
    lines = []
    while len(lines) < len(list(frames())):
        packet = sock.recv(65536)[12:]
        if packet[:2] not in (b"\x08\x00", b"\x86\xdd"):
            continue
        version, traffic_class, ttl, protocol, length = header(packet[2:])
        packet = packet[2 + length:]
        if protocol != 17 or struct.unpack("!H", packet[2:4])[0] != int(port):
            continue
        packet = packet[8:]
        while packet[8 + 6:8 + 12] == SOURCE:  # datagrams of one size that the kernel has not cut yet
            kind = struct.unpack("!H", packet[20:22])[0]
            inside = header(packet[22:])[1:3] if kind != 0x88b5 else (0, 0)
            lines.append("%04x %02x %d in %d %02x %d" % (kind, *inside, version, traffic_class, ttl))
            packet = packet[8 + {0x800: 60, 0x86dd: 62, 0x88b5: 64}[kind]:]
    print("\n".join(sorted(lines)))


globals()[sys.argv[1]](*sys.argv[2:])
