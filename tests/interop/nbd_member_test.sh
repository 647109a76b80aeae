#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# NBD as a disk: copies, a volume group and a mirror on what nbdkit and qemu-nbd export; servers that fail requests, are killed,
# stopped, or hostile.
set -u
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
IO=$(realpath build/tests/helpers/block_io 2>/dev/null) || { echo 'block_io is not built'; exit 77; }
for tool in nbdkit qemu-nbd qemu-img python3; do
	command -v $tool >/dev/null || { echo "$tool is not installed (packages nbdkit, qemu-utils)"; exit 77; }
done
cd "$work" || exit 1
export TENON_STATE_DIR=$work/state
dd if=/dev/urandom of=data bs=1M count=5 status=none
truncate -s 64M data
truncate -s 128M a.img b.img local.img
uri() { echo "nbd+unix:///?socket=$work/$1"; }
# export_by_nbdkit SOCKET ARGUMENT...: its process is $nbd.
export_by_nbdkit() {
	local socket=$1
	shift
	rm -f "$socket"
	nbdkit -f -U "$socket" "$@" 2>>nbdkit.err 3>&- 4>&- &
	nbd=$!
	pids+=($nbd)
	wait_for listens "$socket"
}
A=$(uri a.sock) B=$(uri b.sock)
export_by_nbdkit a.sock file a.img
a=$nbd
qemu-nbd -f raw -k "$work/b.sock" -t -e 4 --discard=unmap b.img &
pids+=($!)
wait_for listens b.sock

# ---- Copies, with holes ----
expect 0 '' "$TENON" copy data "$B"
expect 0 '' "$TENON" copy "$B" back
cmp -n 67108864 data back || problem 'qemu-nbd gives something else back'
[ "$(du -k back | cut -f 1)" -lt 8192 ] || problem "holes were filled: $(du -k back)"
# The end of an export that makes no whole block is not left out without a word.
export_by_nbdkit rest.sock memory 1000000
expect 1 'the last 64 of its bytes make no whole block' "$TENON" copy "$(uri rest.sock)" odd
[ ! -e odd ] || problem 'a part of an export was copied'
expect 0 '' "$TENON" copy data "$A"
cmp -n 67108864 data a.img || problem 'nbdkit has something else'
expect 0 '' "$IO" "$A" storm 7 20
expect 0 '' "$IO" "$A" write 1M 3M 5 fua 8M 64K 6 zero 2M 1M unmap 16M 4M discard 32M 4M flush verify 8M 64K 6 expect 16M 4M 0
qemu-io -f raw -c 'read -P 0 2M 1M' a.img | grep -q 'failed\|mismatch' && problem 'zeroes are none'

# ---- A group on it ----
export TENON_DEVICES=$A
expect 0 '' "$TENON" vg create vg "$A"
expect 0 '' "$TENON" lv create vg/l --size 64M
expect 0 '' "$TENON" copy data vg/l
expect 0 '' "$TENON" copy vg/l back2
cmp data back2 || problem 'a volume on NBD'
if command -v pvck >/dev/null; then
	expect 0 'vg \{' pvck --dump metadata a.img
fi
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
expect 0 '' "$IO" vhost-user:s/vg-l.sock write 1M 4M 3 flush verify 1M 4M 3
expect 1 'process|server|in use|connected' "$TENON" copy --force "$A" vg/none
kill "$launched"
wait "$launched"

# ---- A mirror: its server is killed under it ----
export TENON_DEVICES=$work/local.img:$B
expect 0 '' "$TENON" raid create r --level 1 --bitmap internal --assume-clean local.img "$B"
launch serve.out "$TENON" serve md/r --socket-dir s || problem "no server: $(cat serve.out)"
server=$launched
expect 0 '' "$IO" vhost-user:s/md-r.sock write 1M 4M 3 flush
kill -9 "${pids[1]}"
wait "${pids[1]}" 2>/dev/null
expect 0 '' "$IO" vhost-user:s/md-r.sock write 8M 4M 4 flush verify 8M 4M 4 verify 1M 4M 3
expect 0 'degraded' "$TENON" raid show r
rm -f b.sock
qemu-nbd -f raw -k "$work/b.sock" -t -e 4 b.img &
pids+=($!)
wait_for listens b.sock
kill $server
wait $server
expect 0 '' "$TENON" raid remove r "$B"
expect 0 '' "$TENON" raid re-add r "$B"
expect 0 '' "$TENON" raid rebuild r
expect 0 'clean' "$TENON" raid show r
expect 0 '0 bytes|nothing|no ' "$TENON" raid check r
export TENON_DEVICES=

# ---- Errors of requests, read-only, sizes ----
export_by_nbdkit error.sock --filter=error file a.img error-pread=EIO error-pread-rate=100%
expect 1 'Input/output' "$TENON" copy "$(uri error.sock)" out
export_by_nbdkit ro.sock -r file a.img
expect 1 'lets nobody write' "$TENON" copy --force data "$(uri ro.sock)"
export_by_nbdkit small.sock memory 100
expect 1 'less than a block' "$TENON" copy "$(uri small.sock)" out
export_by_nbdkit four.sock --filter=blocksize-policy memory 64M blocksize-minimum=4096 blocksize-error-policy=error
expect 0 '' "$IO" "$(uri four.sock)" write 0 64K 4 verify 0 64K 4 flush
expect 1 'No such file|connecting' "$TENON" copy "$(uri none.sock)" out

# ---- A server that is started again: gone on with, unless it may have lost something ----
# again COMMAND...: before these requests the server is killed and there anew; what came before them is in $before.
again() {
	local rc
	rm -f hold2
	mkfifo hold2
	export_by_nbdkit again.sock file a.img
	"$IO" "$(uri again.sock)" "${before[@]}" hold "$@" <hold2 >again.out 2>&1 &
	local process=$!
	pids+=($process)
	exec 4>hold2
	wait_for grep -q holding again.out
	sleep 1.2 # it connects again once a second
	kill -9 $nbd
	wait $nbd 2>/dev/null
	export_by_nbdkit again.sock file a.img
	exec 4>&-
	wait $process
	rc=$?
	kill $nbd
	wait $nbd
	return $rc
}
before=(write 0 64K 8 flush)
again verify 0 64K 8 write 64K 64K 9 flush verify 64K 64K 9 || problem "after a restart: $(cat again.out)"
before=(fua 0 64K 10)
again verify 0 64K 10 flush || problem "after a restart, with all writes durable: $(cat again.out)"
before=(write 0 64K 11)
again flush && problem 'a flush of another server was taken for that of writes to the one before'
grep -q 'Input/output' again.out || problem "$(cat again.out)"

# What a server had and did not answer when its connection ended it may carry out later: nothing newer is written by another connection.
export_by_nbdkit late.sock --filter=log --filter=delay file a.img logfile=late.log wdelay=30
mkfifo hold3
"$IO" "$(uri late.sock)" broken 0 64K 12 hold write 0 64K 13 <hold3 >late.out 2>&1 &
process=$!
pids+=($process)
exec 4>hold3
wait_for grep -q Write late.log
kill -9 $nbd
wait $nbd 2>/dev/null
export_by_nbdkit late.sock file a.img
wait_for grep -q holding late.out
sleep 1.2
exec 4>&-
wait $process && problem "written by a new connection while an old write may be under way: $(cat late.out)"
grep -q 'Input/output' late.out || problem "$(cat late.out)"
kill $nbd
wait $nbd

# ---- Hostile ----
cat >hostile.py <<'END'
import os, random, socket, struct, sys
kind, path = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(5)
print("ready", flush=True)
def exactly(c, n):
    data = b""
    while len(data) < n:
        more = c.recv(n - len(data))
        if not more: raise EOFError
        data += more
    return data
def options(c, size):
    c.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
    exactly(c, 4)
    while True:
        _, option, length = struct.unpack(">8sII", exactly(c, 16))
        exactly(c, length)
        if option == 7 or option == 6: # GO, INFO
            c.sendall(struct.pack(">QIII", 0x3e889045565a9, option, 3, 12) + struct.pack(">HQH", 0, size, 0x0d))
            c.sendall(struct.pack(">QIII", 0x3e889045565a9, option, 1, 0))
            if option == 7: return
        else:
            c.sendall(struct.pack(">QIII", 0x3e889045565a9, option, 0x80000001, 0))
while True:
    c, _ = listener.accept()
    try:
        if kind == "noise": c.sendall(random.Random(1).randbytes(65536))
        elif kind == "http": c.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        elif kind == "huge": options(c, 2**63 + 12345)
        elif kind == "zero": options(c, 0)
        else:
            options(c, 64 << 20)
            while True:
                magic, flags, what, cookie, offset, length = struct.unpack(">IHHQQI", exactly(c, 28))
                if kind == "cookie": cookie ^= 1
                if kind == "short": c.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) + bytes(length // 2)); break
                if kind == "answer": c.sendall(random.Random(2).randbytes(4096)); continue
                c.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie) + bytes(length))
    except (EOFError, OSError): pass
    c.close()
END
for kind in noise http huge zero cookie short answer; do
	launch hostile.out python3 hostile.py $kind "$work/$kind.sock" || problem "the hostile server $kind"
	expect 1 "$kind.sock" "$TENON" copy "$(uri $kind.sock)" out
	kill "$launched"
	wait "$launched" 2>/dev/null
done

# ---- Stopped: an error after half a minute, not a wait for ever ----
mkfifo hold
"$IO" "$A" hold verify 0 4K 1 <hold >stopped.out 2>&1 &
reader=$!
pids+=($reader)
exec 3>hold
wait_for grep -q holding stopped.out
stop_process $a
began=$SECONDS
exec 3>&-
wait $reader && problem 'a stopped server has answered'
[ $((SECONDS - began)) -ge 25 ] || problem "given up after $((SECONDS - began)) s: $(cat stopped.out)"
grep -q 'Input/output' stopped.out || problem "a stopped server: $(cat stopped.out)"
kill -CONT $a
wait_for "$TENON" copy --force data "$A"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'NBD as a disk'
