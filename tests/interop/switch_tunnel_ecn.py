#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Marks of congestion in tunnels, for switch_tunnel_ecn_test.sh.

send ADDRESS PORT VNI      VXLAN datagrams to there: IPv4 and IPv6 packets with each inner and outer field, then a last one
inner INTERFACE            the same packets as frames, by an interface, without a tunnel
heard INTERFACE            of such packets until the last one: version, inner and outer field as sent, field as it came
outer INTERFACE PORT       of datagrams to that port until the last one: field as sent inside, field outside
"""
import socket
import struct
import sys

SOURCE = bytes.fromhex("0200000000ee")
LAST = b"\x88\xb5"
ETH_ALL = 3


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(version, inner, outer):
    """A datagram to the discard port, with what was sent in its payload."""
    body = struct.pack("!HHHH", 9, 9, 12 + 8, 0) + bytes([version, inner, outer]) + b"tenon-ecn"
    if version == 6:
        return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28 | inner << 20, len(body), 17, 64) + \
            bytes(15) + b"\1" + bytes(15) + b"\2" + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, inner, 20 + len(body), 0, 0, 64, 17, 0,
                       bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return b"\x08\x00" + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def frames():
    for version in 4, 6:
        for inner in range(4):
            for outer in range(4):
                yield outer, b"\xff" * 6 + SOURCE + packet(version, inner, outer)
    yield 0, b"\xff" * 6 + SOURCE + LAST + bytes(46)


def send(address, port, vni):
    ipv6 = ":" in address
    out = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    for outer, frame in frames():
        if ipv6:
            out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, outer)
        else:
            out.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, outer)
        out.sendto(struct.pack("!II", 8 << 24, int(vni) << 8) + frame, (address, int(port)))


def listener(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
    sock.bind((interface, ETH_ALL))
    sock.settimeout(60)
    print("listens", flush=True)
    return sock


def field(frame):
    """The version and field of a frame's packet, and where it ends; the sum of IPv4's header must be right."""
    version = frame[14] >> 4
    if version == 4:
        assert checksum(frame[14:34]) == 0, "a wrong sum"
        return 4, frame[15] & 3, 34
    return 6, frame[15] >> 4 & 3, 54


def heard(interface):
    sock = listener(interface)
    while True:
        frame = sock.recv(2048)
        if frame[6:12] != SOURCE:
            continue
        if frame[12:14] == LAST:
            return
        version, now, end = field(frame)
        sent = frame[end + 8:end + 11]
        print(*sent, now)
        assert sent[0] == version


def outer(interface, port):
    sock = listener(interface)
    while True:
        frame = sock.recv(2048)
        if frame[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            continue
        version, now, end = field(frame)
        if frame[14 + (9 if version == 4 else 6)] != 17 or frame[end + 2:end + 4] != struct.pack("!H", int(port)):
            continue
        frame = frame[end + 8:]
        while len(frame) > 8: # datagrams of one size that the kernel has not cut yet
            frame = frame[8:]
            if frame[6:12] != SOURCE:
                break
            if frame[12:14] == LAST:
                return
            version, sent, end = field(frame)
            print(sent, now)
            frame = frame[end + 8 + 12:]


def inner(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((interface, 0))
    for _, frame in frames():
        sock.send(frame)


globals()[sys.argv[1]](*sys.argv[2:])
