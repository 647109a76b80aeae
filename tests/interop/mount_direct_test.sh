#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What `tenon mount` reads and writes by itself (tools/mount_direct.c): linear and striped volumes beside one that is not leased, each byte against a
# model, while volumes change, and the mount or the server is stopped or killed.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
[ -w /dev/fuse ] || { echo '/dev/fuse cannot be opened here'; exit 77; }
command -v fusermount3 >/dev/null || { echo 'fusermount3 is not installed (package fuse3)'; exit 77; }
cd "$work" || exit 1
cleanup() { ! mountpoint -q m || fusermount3 -uz m; }
truncate -s 400M a.img b.img
export TENON_DEVICES=$work/a.img:$work/b.img TENON_STATE_DIR=$work/state
"$TENON" vg create vg a.img b.img && "$TENON" lv create vg/linear --size 32M a.img && "$TENON" lv create vg/striped --size 320M --stripes 2 &&
	"$TENON" lv create vg/mirror --type raid1 --size 16M || problem 'cannot make volumes'
mkdir m
serve() {
	launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
	server=$launched
}
attach() {
	expect 0 '' "$TENON" mount vg m
	process=$(find run -name 'mount-*' -printf '%f\n')
	process=${process#mount-}
	process=${process%.sock}
}
has_lease() { ls -l /proc/"$process"/fd 2>/dev/null | grep -q "$work/[ab].img"; }
has_none() { ! has_lease; }
# Of a file that is open already: only who reads has the mount ask for a lease, again where it got none.
gets_lease() { dd if=m/linear of=/dev/null bs=4K count=1 iflag=direct status=none && has_lease; }

# Ranges of any place and length, from memory of any alignment, by four threads for each file, each with a part of its own; what a request that failed
# has left is not known. Until there is a file "stop". Prints how many requests there were, and how many failed.
cat >model.py <<'END'
import mmap, os, random, sys, threading, time
may_fail, names = sys.argv[1] == "fail", sys.argv[2:]
PART = 1 << 20
LENGTHS = (1, 511, 512, 4096, 4096, 4096, 4097, 65536, 70000, 300000)
failed, wrong, done = [0], [], [0]
stop = threading.Event()
class Part(threading.Thread):
    def __init__(self, fd, number, seed):
        super().__init__()
        self.fd, self.low, self.random = fd, number * PART * 3, random.Random(seed)
        self.model = bytearray(os.pread(fd, PART, self.low))
        self.known = bytearray(b"\1" * PART)
        self.memory = mmap.mmap(-1, PART)
    def write(self, at, length, data):
        self.memory[at % 4096:at % 4096 + length] = data
        return os.pwritev(self.fd, [memoryview(self.memory)[at % 4096:at % 4096 + length]], self.low + at)
    def step(self):
        length = self.random.choice(LENGTHS)
        at = self.random.randrange(0, PART - length)
        if self.random.random() < 0.7: at, length = at & ~4095, (length + 4095) & ~4095
        if at + length > PART: return
        try:
            if self.random.random() < 0.5:
                data = self.random.randbytes(length)
                self.known[at:at + length] = bytes(length)
                if self.write(at, length, data) != length: wrong.append("short")
                self.model[at:at + length] = data
                self.known[at:at + length] = b"\1" * length
            else:
                found = os.pread(self.fd, length, self.low + at)
                if len(found) != length or (found != self.model[at:at + length] and any(
                        known and a != b for a, b, known in zip(found, self.model[at:at + length], self.known[at:at + length]))):
                    wrong.append((self.low + at, length))
            done[0] += 1
        except OSError as error:
            failed[0] += 1
            if not may_fail: wrong.append(error)
            time.sleep(0.02)
    def run(self):
        while not stop.is_set() and not wrong:
            self.step()
parts = [Part(os.open("m/" + name, os.O_RDWR), number, hash((name, number))) for name in names for number in range(4)]
print("ready", flush=True)
for part in parts: part.start()
while not wrong and (not os.path.exists("stop") or done[0] < 20): time.sleep(0.05)
stop.set()
for part in parts: part.join()
print(done[0], "done", failed[0], "failed", flush=True)
if wrong or done[0] < 20: sys.exit("wrong: %s" % wrong[:5])
for part in parts:
    for _ in range(200 if may_fail else 1):
        try:
            os.fsync(part.fd)
            found = os.pread(part.fd, PART, part.low)
            break
        except OSError:
            time.sleep(0.1)
    if any(known and a != b for a, b, known in zip(found, part.model, part.known)): sys.exit("differs at the end")
END
# use fail|- NAME...: in the background, as $user, until used
use() {
	rm -f stop
	launch model.out python3 model.py "$@" || problem "it does not begin: $(cat model.out)"
	user=$launched
}
used() {
	: >stop
	wait "$user" || problem "the files are not what was written: $(cat model.out)"
}

serve
attach
# ---- Volumes that change ----
use - linear striped mirror
wait_for has_lease
expect 0 '' "$TENON" lv extend vg/linear --size +4M
expect 0 '' "$TENON" lv move vg/linear b.img
expect 0 '' "$TENON" lv limit vg/linear --iops 100000
expect 0 '' "$TENON" lv extend vg/striped --size +8M
expect 0 '' "$TENON" lv limit vg/striped --iops 100000
wait_for has_none
expect 0 '' "$TENON" lv limit vg/linear --none
expect 0 '' "$TENON" lv limit vg/striped --none
wait_for has_lease
expect 0 '' "$TENON" lv move vg/linear a.img
used

# ---- The mount is stopped, anywhere: a change is made, or refused with its name ----
use - linear striped
wait_for has_lease
for to in b.img a.img b.img; do
	stop_process "$process"
	timeout 60 "$TENON" lv extend vg/linear --size +4M >out 2>&1
	rc=$?
	[ $rc = 0 ] || { [ $rc = 1 ] && grep -q "process $process .*kill -CONT $process" <<<"$(tr '\n' ' ' <out)"; } ||
		problem "a stopped mount: $rc, $(cat out)"
	kill -CONT "$process"
	expect 0 '' "$TENON" lv move vg/linear $to
done
used

# ---- The server is stopped and goes on, is killed, and another comes ----
use fail linear striped
wait_for has_lease
stop_process "$server"
sleep 1
kill -CONT "$server"
kill -9 "$server"
wait "$server" 2>/dev/null
wait_for has_none
serve
wait_for has_lease
used

# ---- The mount is killed: what it had leased is free, and the next finds what was flushed ----
use fail linear
wait_for has_lease
kill -9 "$process"
kill "$user"
wait "$user" 2>/dev/null
expect 0 '' timeout 60 "$TENON" lv move vg/linear a.img
expect 0 '' timeout 60 "$TENON" vg check vg
expect 0 '' "$TENON" unmount m
attach
use - linear striped mirror
sleep 2
used

# ---- A request that the kernel could not hand out (ENOMEM) is that one's end, not the mount's, whoever takes them ----
can_trace() {
	command -v strace >/dev/null && strace -qq -o strace.out true 2>/dev/null &&
		{ [ "$(id -u)" = 0 ] || [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" = 0 ]; }
}
not_taken() {
	strace -f -qq -o strace.out -P /dev/fuse -e trace=read -e inject=read:error=ENOMEM -p "$process" 2>strace.err &
	tracer=$!
	pids+=($tracer)
	dd if=m/linear of=/dev/null bs=4K count=2000 iflag=direct status=none 2>dd.err &
	reader=$!
	wait_for eval "[ \"\$(grep -c INJECTED strace.out)\" -ge 40 ]"
	kill "$tracer"
	wait "$tracer" 2>/dev/null
	wait "$reader" || problem "reading: $(cat dd.err)"
}
if can_trace; then
	exec 5<m/linear
	expect 0 '' "$TENON" lv limit vg/linear --iops 100000
	wait_for has_none
	not_taken
	expect 0 '' "$TENON" lv limit vg/linear --none
	wait_for gets_lease
	not_taken
	exec 5<&-
else
	echo 'nothing of requests that are not taken: strace is not installed, or may not trace here'
fi

# ---- It ends at once, with requests on their way and with files that are open no more ----
exec 5<m/linear
wait_for gets_lease
dd if=m/linear of=/dev/null bs=4K count=100 status=none
exec 5<&-
wait_for has_none
has_none || for holder in /proc/[0-9]*; do # whose file it is that is open still
	ls -l "$holder/fd" 2>/dev/null | grep "$work/m/" && echo "is of $holder: $(tr '\0' ' ' <"$holder/cmdline")"
done
expect 0 '' "$TENON" unmount m
[ -z "$(find run -name 'mount-*')" ] || problem 'the process of the mount is left'
ended() { ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$process/status"; }
# What the server is asked on behalf of a thread is given up: it would take minutes.
attach
expect 0 '' "$TENON" lv limit vg/mirror --bandwidth 4K
exec 5<m/linear
wait_for gets_lease
dd if=m/linear of=/dev/null bs=4K count=100 status=none
launch slow.out python3 -c 'import os
fd = os.open("m/mirror", os.O_RDONLY)
print("ready", flush=True)
os.pread(fd, 1 << 20, 0)' || problem "it does not begin: $(cat slow.out)"
sleep 0.5 # it asks
kill "$process"
wait_for ended
exec 5<&-
expect 0 '' "$TENON" lv limit vg/mirror --none
attach
use fail linear
wait_for has_lease
kill "$process"
wait_for ended
kill "$user"
wait "$user" 2>/dev/null
free() { timeout 60 "$TENON" lv rename vg/linear other >/dev/null 2>&1; }
wait_for free

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'volumes that a mount reads and writes by itself'
