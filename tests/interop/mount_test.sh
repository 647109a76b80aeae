#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon mount`: volumes as files beside machines, by root and by another user; every byte against a model; who has a disk
# alone and who shares it; volumes that come, grow and go; a server and a mount that are killed.
set -u
. "$(dirname "$0")/lib.sh"
IO=$(realpath build/tests/helpers/block_io 2>/dev/null) || { echo 'block_io is not built'; exit 77; }
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
[ -w /dev/fuse ] || { echo '/dev/fuse cannot be opened here'; exit 77; }
command -v fusermount3 >/dev/null || { echo 'fusermount3 is not installed (package fuse3)'; exit 77; }

# Everything again as somebody else, where there is one to be.
if [ "$(id -u)" = 0 ] && [ -z "${MOUNT_AS_USER-}" ] && command -v setpriv >/dev/null; then
	folder=$(mktemp -d) && chmod 777 "$folder"
	if setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$TENON" -a -x "$IO"; then
		MOUNT_AS_USER=1 TMPDIR=$folder BUILD=build setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$PWD/tests/interop/mount_test.sh" || problem 'as another user'
	else
		echo 'not as another user too: who cannot reach this folder'
	fi
	rm -rf "$folder"
fi

cd "$work" || exit 1
cleanup() {
	! mountpoint -q m || fusermount3 -uz m
	! mountpoint -q m2 || fusermount3 -uz m2
}
truncate -s 256M a.img
export TENON_DEVICES=$work/a.img TENON_STATE_DIR=$work/state
disk=vhost-user:s/vg-l.sock
"$TENON" vg create vg a.img && "$TENON" lv create vg/l --size 64M || problem 'cannot make a volume'
mkdir m

# ---- Refused ----
expect 1 'no running server serves this volume group' "$TENON" mount vg m
expect 1 'none: No such file' "$TENON" mount vg none
expect 1 'expected a folder' "$TENON" mount vg a.img
expect 2 'expected the name of a volume group' "$TENON" mount vg/l m
expect 2 'give either' "$TENON" mount vg m --shared --read-only
expect 1 'no volume group is mounted there' "$TENON" unmount m
serve() {
	launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
	server=$launched
}
serve
expect 1 'no running server' "$TENON" mount other m

# ---- Bytes, against a model ----
expect 0 '' "$TENON" mount vg m
expect 1 'mounted there already' "$TENON" mount vg m
[ "$(stat -c '%s %a' m/l)" = '67108864 600' ] || problem "the file is $(stat -c '%s %a' m/l)"
[ "$(ls m)" = l ] || problem "there is $(ls m)"
cat >model.py <<'END'
import os, random, sys, threading
path, seed = sys.argv[1], int(sys.argv[2])
size = 8 << 20
fd = os.open(path, os.O_RDWR)
model = bytearray(size)
for at in range(0, size, 1 << 20):
    assert os.pwrite(fd, bytes(1 << 20), at) == 1 << 20
def work(number):
    # Its own quarter; ranges of any length at any place, and holes.
    low, high = number * size // 4, (number + 1) * size // 4
    rnd = random.Random(seed * 4 + number)
    for _ in range(150):
        length = rnd.choice((1, 3, 511, 512, 513, 4096, 4097, 70000))
        at = rnd.randrange(low, high - length)
        what = rnd.random()
        if what < 0.5:
            data = rnd.randbytes(length)
            assert os.pwrite(fd, data, at) == length
            model[at:at + length] = data
        elif what < 0.6:
            punch(at, length)
            model[at:at + length] = bytes(length)
        else:
            assert os.pread(fd, length, at) == model[at:at + length], (at, length)
def punch(at, length):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    assert libc.fallocate(fd, 3, at, length) == 0, os.strerror(ctypes.get_errno())
failed = []
def guarded(number):
    try:
        work(number)
    except BaseException as error:
        failed.append(error)
        raise
threads = [threading.Thread(target=guarded, args=(n,)) for n in range(4)]
for t in threads: t.start()
for t in threads: t.join()
os.fsync(fd)
got = b"".join(os.pread(fd, 1 << 20, at) for at in range(0, size, 1 << 20))
if failed or got != model: sys.exit("differs")
END
python3 model.py m/l 1 || problem 'the file is not what was written'
python3 - m/l <<'END' || problem 'the end of a file'
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_TRUNC)
size = 64 << 20
assert os.fstat(fd).st_size == size
assert os.pread(fd, 100, size - 10) == os.pread(fd, 10, size - 10) and len(os.pread(fd, 100, size - 10)) == 10
assert os.pread(fd, 10, size + 5) == b""
assert os.pwrite(fd, b"x" * 100, size - 10) == 10
for bad in (lambda: os.pwrite(fd, b"x", size), lambda: os.ftruncate(fd, 5), lambda: os.chmod(sys.argv[1], 0o777)):
    try:
        bad()
        sys.exit("taken")
    except OSError as error:
        assert error.errno in (errno.ENOSPC, errno.EINVAL, errno.EPERM), error
os.ftruncate(fd, size)
assert os.lseek(fd, 16 << 20, os.SEEK_HOLE) == 16 << 20
assert os.lseek(fd, 0, os.SEEK_DATA) == 0
END

# ---- Machines and this host see one disk ----
expect 0 '' "$IO" $disk write 16M 64K 7 flush
"$IO" a.img info >/dev/null 2>&1
dd if=m/l of=part bs=64K skip=256 count=1 status=none
expect 0 '' "$IO" -c 64K copy.img write 0 64K 0
dd if=part of=copy.img conv=notrunc status=none
expect 0 '' "$TENON" copy --force vg/l whole.img
cmp m/l whole.img || problem 'the file and the disk differ'
# Written by the host, read by a machine.
dd if=/dev/urandom of=random bs=1M count=2 status=none
dd if=random of=m/l bs=1M seek=20 conv=notrunc,fsync status=none || problem 'writing to the file'
expect 0 '' "$TENON" copy --force $disk whole.img
cmp <(dd if=whole.img bs=1M skip=20 count=2 status=none) random || problem 'a machine does not see what the host wrote'

# ---- Alone, or shared ----
mkfifo hold
"$IO" $disk hold <hold >held 2>&1 &
machine=$!
pids+=($machine)
exec 3>hold
wait_for grep -q holding held
expect 1 'busy' dd if=random of=m/l conv=notrunc
expect 0 '' dd if=m/l of=/dev/null bs=1M count=1
exec 3>&-
wait $machine
exec 4<>m/l
expect 1 '.' timeout 20 "$IO" $disk write 0 64K 1
expect 1 'in use|connected' "$TENON" lv rename vg/l x
exec 4>&-
free() { "$IO" $disk write 0 64K 1 2>/dev/null; }
wait_for free
expect 1 'in use|busy' bash -c "exec 5<m/l; exec $TENON unmount m"
if [ "$(id -u)" != 0 ]; then
	# It is in use for a moment only, which fusermount3 does not tell; a moment of who has no processor is longer.
	mkdir bin busy
	printf '#!/bin/sh\nfor one in %q/*; do rm "$one" 2>/dev/null && { echo refused >&2; exit 1; }; done\nexec %q "$@"\n' "$work/busy" "$(command -v fusermount3)" >bin/fusermount3
	chmod +x bin/fusermount3
	for i in $(seq 20); do : >busy/$i; done
	said=$(PATH=$work/bin:$PATH "$TENON" unmount m 2>&1) && [ -z "$said" ] || problem "tried again: $said"
	[ -z "$(ls busy)" ] || problem 'it was unmounted otherwise'
	expect 0 '' "$TENON" mount vg m
fi
expect 0 '' "$TENON" unmount m
[ -z "$(ls m)" ] || problem 'it is mounted yet'
expect 0 '' "$TENON" mount vg m --shared
exec 3<>hold
"$IO" $disk write 0 64K 3 hold verify 1M 64K 4 <hold >held 2>&1 &
machine=$!
pids+=($machine)
wait_for grep -q holding held
expect 0 '' "$IO" -c 64K piece write 0 64K 4
dd if=piece of=m/l bs=64K seek=16 conv=notrunc status=none || problem 'shared writing'
exec 3>&-
expect 0 '' "$TENON" unmount m
expect 0 '' "$TENON" mount vg m --read-only
expect 1 'Read-only' dd if=random of=m/l conv=notrunc
expect 0 '' "$TENON" unmount m
kill $machine
wait $machine 2>/dev/null

# ---- Volumes that come, grow, get another name and go ----
expect 0 '' "$TENON" mount vg m
expect 0 '' "$TENON" lv create vg/new --size 8M
appears() { [ "$(ls m | tr '\n' ' ')" = "$1" ]; }
wait_for appears 'l new '
exec 4<m/new
expect 0 '' "$TENON" lv resize vg/new --size 16M
grown() { [ "$(stat -L -c %s m/new)" = 16777216 ]; }
wait_for grown
[ "$(stat -L -c %s /dev/fd/4)" = 16777216 ] || problem 'an open file has not grown'
expect 1 'connected' "$TENON" lv remove vg/new --yes
exec 4<&-
renamed() { "$TENON" lv rename vg/new newer >/dev/null 2>&1; }
wait_for renamed
wait_for appears 'l newer '
expect 0 '' "$TENON" lv remove vg/newer --yes
wait_for appears 'l '

# ---- A server of another group that is stopped holds nobody up: each look waited five seconds for it ----
truncate -s 64M b.img
expect 0 '' "$TENON" vg create other b.img --device b.img
launch other.out "$TENON" serve other --socket-dir o --device "$work/b.img" || problem "no server: $(cat other.out)"
stop_process "$launched"
cat >looks.sh <<'END'
for _ in $(seq 13); do
	sleep 0.35 # what was listed is not asked for again before that
	[ "$(ls m)" = l ] || exit 1
done
END
expect 0 '' bash looks.sh
kill -CONT "$launched"
kill "$launched" && wait "$launched"

# ---- A server that is killed: errors, and then the next one ----
cat >through.py <<'END'
import os, sys, time
fd = os.open("m/l", os.O_RDWR)
os.pwrite(fd, b"before" * 1000, 12345)
print("open", flush=True)
sys.stdin.readline()
for _ in range(600): # what the mount reads by itself it does until it sees that the server has gone
    try:
        os.pread(fd, 100, 0)
        time.sleep(0.1)
    except OSError as error:
        assert error.errno == 5, error
        break
else:
    sys.exit("no error from a dead server")
print("failed", flush=True)
sys.stdin.readline()
end = time.time() + 60
while True:
    try:
        assert os.pread(fd, 6000, 12345) == b"before" * 1000
        break
    except OSError:
        if time.time() > end: sys.exit("it never came back")
        time.sleep(0.1)
os.pwrite(fd, b"after", 12345)
os.fsync(fd)
END
coproc through { exec python3 through.py 2>&1; }
read -r -t 60 line <&"${through[0]}" && [ "$line" = open ] || problem "$line"
kill -9 $server
wait $server 2>/dev/null
echo >&"${through[1]}"
read -r -t 60 line <&"${through[0]}" && [ "$line" = failed ] || problem "$line"
[ "$(ls m)" = l ] || problem 'a dead server takes the names along'
expect 1 'Input/output' dd if=m/l of=/dev/null bs=1M count=1
serve
echo >&"${through[1]}"
wait $through_PID || problem 'no recovery'
[ "$(dd if=m/l bs=1 skip=12345 count=11 status=none)" = afterebefor ] || problem 'not what was written'
[ -z "$(find run -name 'disk-*' ! -name "disk-$server-*")" ] || problem 'sockets of the killed server are left'

# ---- A server that is stopped is given up with what it has; going on, it finds nothing else there ----
# By way of the server: what has a limit the mount does not write by itself.
expect 0 '' "$TENON" lv limit vg/l --iops 1000000
if [ -z "${MOUNT_AS_USER-}" ]; then
	cat >given_up.py <<'END'
import os, sys, threading
fd = os.open("m/l", os.O_RDWR)
os.pwrite(fd, b"o" * (64 << 12), 1 << 20)
print("open", flush=True)
sys.stdin.readline()
wrong = []
def write(byte, at):
    try:
        os.pwrite(fd, byte * 4096, at)
        wrong.append("written to a stopped server")
    except OSError as error:
        if error.errno != 5: wrong.append(error)
def all_write(byte, base):
    threads = [threading.Thread(target=write, args=(byte, base + (i << 12))) for i in range(64)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
all_write(b"a", 1 << 20)
all_write(b"b", 2 << 20)
print(wrong or "failed", flush=True)
sys.stdin.readline()
END
	coproc given_up { exec python3 given_up.py 2>&1; }
	read -r -t 60 line <&"${given_up[0]}" && [ "$line" = open ] || problem "$line"
	stop_process "$server"
	echo >&"${given_up[1]}"
	read -r -t 60 line <&"${given_up[0]}" && [ "$line" = failed ] || problem "$line"
	kill -CONT "$server"
	echo >&"${given_up[1]}"
	wait $given_up_PID
	readable() { dd if=m/l of=found bs=4K skip=256 count=64 2>/dev/null; }
	wait_for readable
	[ -z "$(tr -d 'oa' <found)" ] || problem 'a request that was given up wrote what came after it'
fi

# ---- A mount that is killed, and one that is told to end ----
process=$(basename run/mount-*.sock .sock)
kill -9 "${process#mount-}"
dead() { ! ls m >/dev/null 2>&1; }
wait_for dead
expect 1 'whose process was killed' "$TENON" mount vg m
expect 0 '' "$TENON" unmount m
expect 0 '' "$TENON" mount vg m
process=$(basename run/mount-*.sock .sock)
expect 0 '' test -e m/l
kill "${process#mount-}"
# Not there any more, or a zombie that the first process of a container does not wait for.
ended() { ! mountpoint -q m && ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/${process#mount-}/status"; }
wait_for ended

# ---- A copy of the mount in another mount namespace keeps nobody: the process behind it never ended ----
who=-m
[ "$(id -u)" = 0 ] || who=-rm
if unshare $who true 2>/dev/null; then
	expect 0 '' "$TENON" mount vg m
	unshare $who bash -c 'exec 5<m/l; echo there; read -r; exec 5<&-; echo closed; read -r' <hold >copy.out &
	copy=$!
	pids+=($copy)
	exec 3>hold
	wait_for grep -q there copy.out
	"$TENON" unmount m >unmount.out 2>&1 &
	unmounting=$!
	pids+=($unmounting)
	gone() { ! mountpoint -q m; }
	wait_for gone
	kill -0 $unmounting 2>/dev/null || problem "a file of it is open, and: $(cat unmount.out)"
	echo >&3
	wait $unmounting || problem "a copy of the mount: $(cat unmount.out)"
	[ -z "$(find run -name 'mount-*')" ] || problem 'a process of a mount is left'
	kill -0 $copy || problem 'nobody had a copy of the mount'
	exec 3>&-
	wait $copy
fi

# ---- A server that means ill writes in front of all data of requests, which is not where requests are read ----
cat >ill.py <<'END'
import mmap, os, sys, threading
folder = f"/proc/{sys.argv[1]}/fd/"
name = next(f for f in os.listdir(folder) if os.readlink(folder + f).startswith("/memfd:tenon-mount"))
fd = os.open(folder + name, os.O_RDWR)
memory = mmap.mmap(fd, 0)
each = 4096 + (1 << 20) + 4096
assert len(memory) == 32 * each
ends = []
threading.Thread(target=lambda: ends.append(sys.stdin.read()), daemon=True).start()
print("ill", flush=True)
while not ends:
    for at in range(0, len(memory), each):
        memory[at + 4096 - 128:at + 4096] = b"\xff" * 128
END
cat >well.py <<'END'
import os, time
fd = os.open("m/l", os.O_RDWR)
end = time.monotonic() + 2
n = 0
while n < 50 or time.monotonic() < end:
    text = b"%8d" % n * 512
    at = n % 1000 * 4096
    assert os.pwrite(fd, text, at) == 4096 and os.pread(fd, 4096, at) == text, n
    assert os.listdir("m") == ["l"]
    try:
        os.stat("m/not-there-%d" % n)
        raise Exception("there")
    except FileNotFoundError:
        pass
    n += 1
END
expect 0 '' "$TENON" mount vg m
process=$(find run -name 'mount-*' -printf '%f\n')
process=${process#mount-}
process=${process%.sock}
mkfifo ill.end
python3 ill.py "$process" <ill.end >ill.out 2>&1 &
pids+=($!)
exec 3>ill.end
wait_for grep -q '^ill' ill.out
expect 0 '' timeout -s KILL 300 python3 well.py
exec 3>&-

# ---- Another mount that is stopped says nothing of one that was killed ----
mkdir m2
launch other.out "$TENON" serve other --socket-dir o --device "$work/b.img" || problem "no server: $(cat other.out)"
expect 0 '' "$TENON" mount other m2
second=$(find run -name 'mount-*' ! -name "mount-$process.sock" -printf '%f\n')
second=${second#mount-}
second=${second%.sock}
kill -9 "$process"
wait_for dead
stop_process "$second"
expect 0 '' timeout -s KILL 60 "$TENON" unmount m
kill -CONT "$second"
expect 0 '' "$TENON" unmount m2
kill "$launched" && wait "$launched"

# ---- One that is stopped holds nobody: `mount` looked into it, and waited for ever ----
expect 0 '' "$TENON" mount vg m
process=$(find run -name 'mount-*' -printf '%f\n')
process=${process#mount-}
process=${process%.sock}
stop_process "$process"
for folder in m m/ m/.; do expect 1 'mounted there already' timeout -s KILL 120 "$TENON" mount vg $folder; done
expect 1 "unmounted, but process $process .* does not answer" timeout -s KILL 120 "$TENON" unmount m/
mountpoint -q m && problem 'it is mounted yet'
kill -CONT "$process"
wait_for ended

# ---- In the foreground, with its log ----
launch mount.out "$TENON" mount vg m --foreground || problem "in the foreground: $(cat mount.out)"
kill -9 $server
wait $server 2>/dev/null
expect 1 'Input/output' dd if=m/l of=/dev/null bs=1M count=1
wait_for grep -q 'vg/l' mount.out || problem "the log: $(cat mount.out)"
expect 0 '' "$TENON" unmount m
wait "$launched" || problem "it ended with $?"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo "volumes as files, as user $(id -u)"
