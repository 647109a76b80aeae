#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a program where the kernel gives no packet socket a ring of received frames: setsockopt(fd, SOL_PACKET, PACKET_RX_RING, ...) says
that there is no memory, by a filter of system calls that what it starts has, too. Exit status 77: not on this processor.

Usage: PROGRAM=... no_packet_ring.py ARGUMENT..."""
import ctypes
import os
import platform
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ, BPF_RET
ALLOW, FAIL = 0x7fff0000, 0x00050000
ENOMEM, SOL_PACKET, PACKET_RX_RING = 12, 263, 5
SETSOCKOPT = {"x86_64": 54, "aarch64": 208}


def main():
    number = SETSOCKOPT.get(platform.machine())
    if number is None:
        return 77
    # Of struct seccomp_data: the number, and the lower halves of the second and third argument.
    steps = [(LOAD, 0, 0, 0), (IF_EQUAL, 0, 5, number), (LOAD, 0, 0, 24), (IF_EQUAL, 0, 3, SOL_PACKET),
             (LOAD, 0, 0, 32), (IF_EQUAL, 0, 1, PACKET_RX_RING), (RETURN, 0, 0, FAIL | ENOMEM), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("<H6xQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        sys.exit("no filter: %s" % os.strerror(ctypes.get_errno()))
    os.execv(os.environ["PROGRAM"], [os.environ["PROGRAM"]] + sys.argv[1:])


sys.exit(main())
