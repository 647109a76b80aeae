#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A write that was given up, since its server was stopped, is not carried out over a newer one when the server goes on: by two mounts of one volume, one of
# which asks the server, the other reads and writes by a lease; and by one that comes back.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
[ -w /dev/fuse ] || { echo '/dev/fuse cannot be opened here'; exit 77; }
command -v fusermount3 >/dev/null || { echo 'fusermount3 is not installed (package fuse3)'; exit 77; }
cd "$work" || exit 1
cleanup() {
	kill -CONT "$server"
	for dir in one two; do ! mountpoint -q $dir || fusermount3 -uz $dir; done
}
truncate -s 64M a.img
export TENON_DEVICES=$work/a.img
"$TENON" vg create vg a.img && "$TENON" lv create vg/x --size 16M || problem 'cannot make a volume'
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
server=$launched
mkdir one two
for dir in one two; do expect 0 ^ "$TENON" mount vg $dir --shared; done
cat >late.py <<'END'
import errno, glob, mmap, os, signal, sys, time
server, image = int(sys.argv[1]), os.path.realpath("a.img")
def block(letter):
    at = mmap.mmap(-1, 4096)
    at[:] = letter.encode() * 4096
    return at
def until(what, condition):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end: sys.exit("not " + what)
        time.sleep(0.05)
def stopped():
    return all(" T " in open(path).read() for path in glob.glob("/proc/%d/task/*/stat" % server))
def leased():
    mounts = [int(os.path.basename(path)[6:-5]) for path in glob.glob("run/mount-*.sock")]
    holders = [m for m in mounts if any(os.path.realpath(fd) == image for fd in glob.glob("/proc/%d/fd/*" % m))]
    os.pwrite(two, block("0"), 0)
    return holders and not os.fsync(two)
def give_up(letter, offset):
    began = time.monotonic()
    try: os.pwrite(one, block(letter), offset)
    except OSError as error:
        if error.errno != errno.EIO: raise
        return print("given up after %.1f s" % (time.monotonic() - began))
    sys.exit("a stopped server has answered")
def write(fd, letter, offset):
    try: return os.pwrite(fd, block(letter), offset)
    except OSError: return 0
# The first is the server's to carry out, since it is to be durable.
one, two = os.open("one/x", os.O_RDWR | os.O_DSYNC), os.open("two/x", os.O_RDWR)
os.pwrite(one, block("0"), 0)
until("leased", leased)
for offset in range(0, 3 * 4096, 4096):
    os.kill(server, signal.SIGSTOP)
    until("stopped", stopped)
    give_up("o", offset)
    by_lease = write(two, "n", offset)
    os.kill(server, signal.SIGCONT)
    if not by_lease: until("written by the second", lambda: write(two, "n", offset))
    # And who gave it up comes back.
    until("written again", lambda: write(one, "m", offset + (1 << 20)))
    time.sleep(0.3)
    os.fsync(two)
    found = os.pread(two, 4096, offset)
    if found != block("n")[:]: sys.exit("an older write was carried out: %r, by a lease: %d" % (found[:1], by_lease))
print("by leases" if by_lease else "by the server")
END
timeout 600 python3 late.py "$server" >late.out 2>&1 || problem "$(cat late.out)"
cat late.out

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'nothing comes late'
