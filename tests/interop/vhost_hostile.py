# SPDX-License-Identifier: BSD-2-Clause
"""Hostile vhost-user peers of a switch, and two ports beside them that are to go on as if nothing were; or of a disk's server.

usage: vhost_hostile.py PID DIRECTORY SEED ROUNDS [PROGRAM]

The switch PID has, in DIRECTORY, the port `e` that listens at e.sock, `f` that connects to f.peer, and `x` and `y`, datagram sockets at x.sock
and y.sock whose remotes are x.peer and y.peer, and `s`, a stream socket at s.sock. After each attack a frame has to get from x to y, and the switch to have as many descriptors and
mappings as before. With PROGRAM (tests/helpers/block_io) e.sock is that of a disk, and after each attack the program has to write and to read there.
"""
import array
import ctypes
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import vhost_guest
from vhost_guest import *
from vhost_states import connects, handshake, jump, queues, regions, states, unwritable


def full_eventfd():
    fd = os.eventfd(0, 0)
    os.eventfd_write(fd, 2 ** 64 - 2)
    return fd


def files(rng):
    """Descriptors of all kinds, to be closed by the caller."""
    kind = rng.randrange(12)
    if kind == 0:
        return list(os.pipe())
    if kind == 1:
        return [s.detach() for s in socket.socketpair()]
    if kind == 2:
        return [os.open("/dev/zero", os.O_RDWR)]
    if kind == 3:
        return [os.open("/", os.O_RDONLY)]
    if kind == 4:
        with select.epoll() as poll:
            return [os.dup(poll.fileno())]
    if kind == 5:
        return [os.open(f"/proc/self/{rng.choice(('mem', 'status', 'fd'))}", os.O_RDONLY)]
    if kind == 6:
        return [full_eventfd()]
    if kind == 7:
        return [memory(rng.choice((0, 1, 4095, SIZE, 1 << 40)))]
    if kind == 8:
        try:
            return [memory(1 << 30, 4)]
        except OSError:
            return [memory()]
    if kind == 9:
        return [os.eventfd(0, 0) for _ in range(rng.randrange(1, 9))]
    if kind == 10:
        return [os.open(".", os.O_RDWR | os.O_TMPFILE)]
    return []


NUMBERS = (0, 1, 2, 3, 127, 255, 256, 257, 4096, 32768, 65535, 65536, 1 << 31, (1 << 32) - 1)
LONG = NUMBERS + (1 << 32, 1 << 40, 1 << 62, 1 << 63, (1 << 64) - 1, (1 << 64) - 4096, GUEST, USER, SIZE, USER + SIZE - 1)


def payload(rng, request):
    number, long = (lambda: rng.choice(NUMBERS)), (lambda: rng.choice(LONG))
    if request in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE):
        return struct.pack("<II", rng.choice((0, 1, number())), number())
    if request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
        return struct.pack("<Q", rng.choice((0, 1, 0x100, 0x101, long())))
    if request == SET_VRING_ADDR:
        at = USER + rng.choice((0, 0x8000, 1, SIZE - 16))
        return struct.pack("<IIQQQQ", rng.choice((0, 1, number())), rng.randrange(2), rng.choice((at, long())),
                           rng.choice((at + 0x4000, long())), rng.choice((at + 0x2000, long())), long())
    if request == SET_MEM_TABLE:
        count = rng.randrange(10)
        return struct.pack("<II", rng.choice((count, number())), 0) + b"".join(
            struct.pack("<QQQQ", long(), long(), long(), rng.choice((0, 0, long()))) for _ in range(min(count, 8)))
    if request in (ADD_MEM, REM_MEM):
        return struct.pack("<QQQQQ", 0, *rng.choice(((GUEST, SIZE, USER, 0), (long(), long(), long(), long()))))
    if request in (SET_LOG_BASE,):
        return struct.pack("<QQ", rng.choice((4096, long())), rng.choice((0, long())))
    if request in (GET_INFLIGHT, SET_INFLIGHT):
        return struct.pack("<QQHHI", long(), long(), number() & 0xffff, number() & 0xffff, 0)
    if request in (SET_FEATURES, SET_PROTOCOL, SET_MTU, SET_STATUS, SEND_RARP):
        return struct.pack("<Q", rng.choice((VERSION_1, VERSION_1 | PROTOCOL, VERSION_1 | PACKED, VERSION_1 | PROTOCOL | LOG_ALL, 0x8, 0xa, long())))
    return rng.randbytes(rng.choice((0, 0, 4, 8, 20, 24, 40, 264)))


# ---- Attacks: each is given a connection, and leaves it to be closed ----

def noise(peer, rng):
    """Any message at all, on a device that runs."""
    guest = Guest(peer)
    guest.show(rng.randrange(QUEUE))
    for _ in range(60):
        request = rng.choice((rng.randrange(1, 42), SET_MEM_TABLE, SET_VRING_ADDR, SET_VRING_KICK, SET_FEATURES, ADD_MEM, SET_LOG_BASE))
        fds = files(rng) if rng.randrange(3) else []
        body = payload(rng, request)
        flags = rng.choice((1, 9, 9, 9, 0, 5, 0xffffffff))
        size = rng.choice((None,) * 20 + (0, 1, 280, 281, 0xffffffff))
        guest.map[rng.randrange(0x20000)] = rng.randrange(256)
        guest.kick()
        try:
            send(peer, message(request, body, flags, size), fds)
        except OSError:
            break
        finally:
            for fd in fds:
                os.close(fd)
    guest.end()


def cut(peer, rng):
    """Ends in the middle of a message with descriptors, which came already."""
    fds = files(rng)
    data = message(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, GUEST, SIZE, USER, 0), 9)
    send(peer, data[:rng.randrange(1, len(data))], fds)
    for fd in fds:
        os.close(fd)


def shorten(peer, rng):
    """Its memory is shortened while frames come and go."""
    fd = os.open(".", os.O_RDWR | os.O_TMPFILE)
    os.ftruncate(fd, SIZE)
    guest = Guest(peer, fd)
    guest.show(rng.randrange(1, QUEUE))
    guest.kick()
    if rng.randrange(2):
        wait(lambda: guest.used(guest.queues[-1]))
    guest.map.close()
    guest.map = mmap.mmap(-1, SIZE)
    os.ftruncate(fd, rng.choice((0, 4096, 0x8000, BUFFERS)))
    guest.kick()
    if not DISK and rng.randrange(2):
        neighbours.pass_frame()
    guest.end()


def huge(peer, rng):
    """A dirty log in a huge page, of which there may be none."""
    try:
        log = memory(1 << 30, 4)
    except OSError:
        return
    guest = Guest(peer)
    for _ in range(rng.randrange(1, 4)):
        send(peer, message(SET_LOG_BASE, struct.pack("<QQ", rng.choice((4096, 100, 5000)), 0)), [log])
    send(peer, message(SET_FEATURES, struct.pack("<Q", VERSION_1 | PROTOCOL | LOG_ALL)))
    guest.show(100)
    guest.kick()
    neighbours.pass_frame()
    os.close(log)
    guest.end()


def storm(peer, rng):
    """Queues that come and go without pause, and another table of memory each time, while frames come and go."""
    guest = Guest(peer)
    ended = time.monotonic() + 0.3
    while time.monotonic() < ended:
        guest.show(rng.randrange(32))
        guest.kick()
        for _ in range(20):
            what = rng.randrange(6)
            queue = rng.choice(QUEUES)
            if what == 0:
                guest.table()
            elif what == 1:
                send(peer, message(GET_VRING_BASE, struct.pack("<II", queue, 0)))
                guest.ring(queue)
            elif what == 2:
                guest.ring(queue)
            elif what == 3:
                send(peer, message(RESET_DEVICE))
                send(peer, message(SET_FEATURES, struct.pack("<Q", VERSION_1 | PROTOCOL)))
            else:
                send(peer, message(SET_VRING_ENABLE, struct.pack("<II", queue, rng.randrange(2))))
        drain(peer)
    guest.end()


def full(peer, rng):
    """To be called by an eventfd that is full, and that waits."""
    guest = Guest(peer)
    for queue in QUEUES:
        fd = full_eventfd()
        send(peer, message(SET_VRING_CALL, struct.pack("<Q", queue)), [fd])
        os.set_blocking(fd, True)
        os.close(fd)
    guest.show()
    guest.kick()
    time.sleep(0.3)
    guest.end()


def stopped(peer, rng):
    """A process that is stopped in the middle of a message and of its traffic."""
    child = os.fork()
    if not child:
        guest = Guest(peer)
        guest.show()
        guest.kick()
        peer.send(message(SET_MEM_TABLE, b"", 9, 40)[:rng.randrange(1, 12)])
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    for _ in range(5):
        neighbours.pass_frame()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


LOOKUP, GETATTR, OPEN, INIT, OPENDIR = 1, 3, 14, 26, 27


def attributes(node):
    return struct.pack("<6Q10I", node, SIZE, 8, 0, 0, 0, 0, 0, 0, 0o40755 if node == 1 else 0o100666, 1, os.getuid(), os.getgid(), 0, 4096, 0)


class Slow:
    """A file system of this process's own, with a file that opens, and does nothing else: who asks more of it waits. Its server has none of its
    files, or would wait for itself at its end."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(0x00020000 | (0x10000000 if uid else 0)):
            raise OSError("unshare")
        if uid:
            for what, text in ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1"):
                with open(f"/proc/self/{what}", "w") as out:
                    out.write(text)
        libc.mount(b"none", b"/", None, 0x44000, None)  # private
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        if libc.mount(b"slow", os.getcwd().encode(), b"fuse", 0, f"fd={self.fd},rootmode=40000,user_id={uid},group_id={gid}".encode()):
            raise OSError("mount")
        if not os.fork():
            os.closerange(3, self.fd)
            os.closerange(self.fd + 1, 1024)
            self.serve()
        os.close(self.fd)
        self.file = os.open(os.getcwd() + "/file", os.O_RDWR)

    def serve(self):
        while True:
            request = os.read(self.fd, 1 << 20)
            code, unique, node = struct.unpack("<IQQ", request[4:24])
            answer = {LOOKUP: struct.pack("<4QII", 2, 0, 0, 0, 0, 0) + attributes(2), OPEN: bytes(16), OPENDIR: bytes(16),
                      GETATTR: bytes(16) + attributes(1) if node == 1 else None,
                      INIT: struct.pack("<4I2H2I2HI", 7, 31, 65536, 0, 12, 10, 131072, 1, 0, 0, 0) + bytes(28)}.get(code)
            if answer:
                os.write(self.fd, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)


def slow(peer, rng):
    """A file that has whoever uses or closes it wait, as anything that there is a file for."""
    sent, ready = os.pipe()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        try:
            file = Slow().file
        except OSError as error:
            print(f"(without FUSE: {error})", flush=True)
            os._exit(0)
        what = rng.randrange(7)
        send(peer, message(SET_OWNER))
        send(peer, message(SET_PROTOCOL, struct.pack("<Q", 1 << 1 | 1 << 3 | 1 << 5 | (1 << 12 if DISK else 0))))
        if what == 0:
            send(peer, message(99, b"", 9), [file] * rng.randrange(1, 9))
        elif what == 1:
            send(peer, message(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, GUEST, SIZE, USER, 0), 9), [file])
        elif what == 2:
            send(peer, message(ADD_MEM, struct.pack("<QQQQQ", 0, GUEST, SIZE, USER, 0), 9), [file])
        elif what == 3:
            send(peer, message(rng.choice((SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR)), struct.pack("<Q", 0), 9), [file])
        elif what == 4:
            send(peer, message(SET_LOG_BASE, struct.pack("<QQ", 4096, 0), 9), [file])
        elif what == 5:
            send(peer, message(SET_INFLIGHT, struct.pack("<QQHHI", 65536, 0, 1, QUEUE, 0), 9), [file])
        else:
            send(peer, message(SET_BACKEND_REQ_FD, b"", 9), [file])
        peer.close()
        os.write(ready, b"!")
        signal.pause()
    peer.close()
    os.close(ready)
    os.read(sent, 1)
    os.close(sent)
    try:
        neighbours.pass_frame()
    finally:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)


def lingering():
    """A connection that has whoever closes it wait for an hour (SO_LINGER), and its other end, whose end ends that."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        file = socket.create_connection(server.getsockname())
        other = server.accept()[0]
    file.setblocking(False)
    try:
        while True:
            file.send(bytes(65536))
    except BlockingIOError:
        pass
    file.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return file, other


def send_unwanted(peer, what, fds):
    if what == 0:  # more than a message has
        send(peer, message(SET_OWNER), fds * 40)
    elif what == 1:  # an urgent byte, which is passed over
        peer.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))], socket.MSG_OOB)
        send(peer, message(SET_OWNER))
    elif what == 2:  # behind what ends the connection
        send(peer, b"\xff" * 20)
        send(peer, b"?", fds)
    elif what == 3:  # who comes second
        with socket.socket(socket.AF_UNIX) as second:
            second.connect(f"{neighbours.directory}/e.sock")
            send(second, b"?", fds)
    elif what == 4:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(f"{neighbours.directory}/s.sock")
            send(stream, struct.pack(">I", 60) + bytes(60), fds)
    else:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
            datagram.connect(f"{neighbours.directory}/x.sock")
            send(datagram, bytes(60), fds)


def is_stopped(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as stat:
            if stat.read().rpartition(")")[2].split()[0] != "T":
                return False
    return True


def linger(peer, rng):
    """Files that have whoever closes them wait, in places where nobody takes them. The other process is stopped until it is the last one that has them."""
    pid = int(sys.argv[1])
    for what in [rng.choice((0, 1, 1, 1, 2, 3))] + [4, 5] * (not DISK):
        file, other = lingering()
        os.kill(pid, signal.SIGSTOP)
        try:
            if not wait(lambda: is_stopped(pid)):
                raise SystemExit("FAILED: it does not stop")
            send_unwanted(peer, what, [file.fileno()])
            file.close()
        finally:
            os.kill(pid, signal.SIGCONT)
        if what < 4:
            peer.close()
        try:
            neighbours.pass_frame()
        finally:
            other.close()


ATTACKS = (noise, slow, cut, shorten, huge, linger, storm, full, stopped, handshake, regions, unwritable, jump, states, connects, queues)


class Neighbours:
    """x and y: what one sends, the other gets."""

    def __init__(self, directory):
        self.directory = directory
        self.ends = []
        for name in "xy":
            end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            end.bind(f"{directory}/{name}.peer")
            self.ends.append(end)
        self.number = 0

    def pass_frame(self):
        """Again and again: a socket has room for ten datagrams, and those of hostile guests go to all."""
        self.number += 1
        frame = b"\xff" * 6 + b"\x02abcde\x88\xb5" + b"%020d" % self.number + b"." * 30
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                self.ends[0].sendto(frame, socket.MSG_DONTWAIT, f"{self.directory}/x.sock")
            except BlockingIOError:
                pass
            while select.select(self.ends, [], [], 0.02)[0]:
                for end in select.select(self.ends, [], [], 0)[0]:
                    if end.recv(65536) == frame and end is self.ends[1]:
                        return
        raise SystemExit("FAILED: frames of others do not pass")


class Disk:
    """Somebody else who uses it, before and after."""

    def __init__(self, directory, program):
        self.directory = directory
        self.command = program, f"vhost-user:{directory}/e.sock", "write", "1M", "1M", "1", "verify", "1M", "1M", "1"

    def pass_frame(self):
        for _ in range(100):
            done = subprocess.run(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            if not done.returncode:
                return
            time.sleep(0.05)
        raise SystemExit(f"FAILED: the disk cannot be used: {done.stdout}")


def inflight(peer, rng):
    """Regions for chains in flight of any shape, and in use by a ring."""
    send(peer, message(SET_PROTOCOL, struct.pack("<Q", 1 << 12 | 1 << 3)))
    for _ in range(5):
        fds = [memory(rng.choice((0, 4096, SIZE, 1 << 22)))] + (files(rng) if not rng.randrange(3) else [])
        if fds[0] >= 0:
            with os.fdopen(os.dup(fds[0]), "r+b") as region:
                region.write(struct.pack("<QHHHHB", 0, 1, QUEUE, *[rng.choice(NUMBERS) & 0xffff for _ in range(2)], 1) + rng.randbytes(4000))
        body = struct.pack("<QQHHI", rng.choice((4096, 65536, SIZE, rng.choice(LONG))), rng.choice((0, 8, 64, rng.choice(LONG))), rng.choice((1, 1, 2, 0xffff)),
                           rng.choice((QUEUE, 1, 1 << 15, 0xffff)), 0)
        send(peer, message(SET_INFLIGHT, body, 9), fds)
        for fd in fds:
            os.close(fd)
    guest = Guest(peer, features=VERSION_1 | PROTOCOL | rng.choice((0, PACKED)), protocol=1 << 12 | 1 << 3)
    guest.show()
    guest.kick()
    fd = memory(1 << 20, 0)
    send(peer, message(SET_INFLIGHT, struct.pack("<QQHHI", 65536, 0, 1, QUEUE, 0), 9), [fd])
    guest.show(60)
    guest.kick()
    if rng.randrange(2):
        os.ftruncate(fd, 0)
    guest.kick()
    time.sleep(0.01)
    os.close(fd)
    guest.end()


def fds_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def shared_of(pid):
    """Mappings of files that this process gave, but for the program's, which may have been built anew."""
    program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    with open(f"/proc/{pid}/maps") as maps:
        return sum("(deleted)" in line and program not in line for line in maps)


def check(pid, before, after):
    if not os.path.exists(f"/proc/{pid}/fd"):
        raise SystemExit(f"FAILED: the switch ended after {after}")
    if not wait(lambda: fds_of(pid) <= before[0] and shared_of(pid) <= before[1]):
        raise SystemExit(f"FAILED: {after} left descriptors, mappings: {fds_of(pid)}, {shared_of(pid)}, before {before}")


def main():
    global neighbours, ATTACKS
    pid, directory, seed, rounds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    signal.signal(signal.SIGBUS, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    neighbours = Disk(directory, sys.argv[5]) if DISK else Neighbours(directory)
    if DISK: # it is used by one at a time
        ATTACKS = (noise, slow, cut, shorten, linger, storm, full, inflight, inflight, handshake, regions, unwritable, jump, states)
    vhost_guest.neighbours = neighbours
    neighbours.pass_frame()
    # Each of its two threads has one more as soon as it has called a guest.
    before = fds_of(pid) + 2, shared_of(pid)
    for number in range(rounds):
        rng = random.Random(seed + number)
        attack = ATTACKS[number % len(ATTACKS)]
        name = f"{attack.__name__} (seed {seed + number})"
        if DISK or rng.randrange(2):
            peer = socket.socket(socket.AF_UNIX)
            if not wait(lambda: not peer.connect_ex(f"{directory}/e.sock")):
                raise SystemExit("FAILED: no connection")
        else:
            server = socket.socket(socket.AF_UNIX)
            server.bind(f"{directory}/f.peer")
            server.listen(1)
            server.settimeout(60)
            peer = server.accept()[0]
            server.close()
            os.unlink(f"{directory}/f.peer")
        peer.settimeout(60)
        try:
            attack(peer, rng)
        except (ConnectionError, BrokenPipeError):
            pass
        peer.close()
        neighbours.pass_frame()
        check(pid, before, name)
    print(f"{rounds} attacks")


main()
