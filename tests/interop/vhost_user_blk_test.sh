#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# vhost-user-blk with QEMU: our client against qemu-storage-daemon's server, and QEMU's front-end (without
# a guest: SeaBIOS as the driver) against our server, over both engines of the worker. The stock Linux
# guest is in tests/guest/vhost_user_blk_test.sh.
set -u
cd "$(dirname "$0")/../.."
. tests/processes.sh
build=$(pwd)/${BUILD:-build}
io=$build/tests/helpers/block_io
server=$build/tests/helpers/blk_server
for program in "$io" "$server"; do
	[ -x "$program" ] || { echo "$program is not built"; exit 77; }
done
for tool in qemu-storage-daemon qemu-system-x86_64; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done

work=$(mktemp -d)
pids=()
cleanup() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
await() { # SOCKET: until a server has it
	for _ in $(seq 1200); do listens "$1" && return 0; sleep 0.05; done
	fail "no socket $1"; cat ./*.log; return 1
}
stop() { kill "$1"; wait "$1" 2>/dev/null; }

# ---- Our client, qemu-storage-daemon's server ----
for engine in uring aio; do
	truncate -s 0 q.img; truncate -s 32M q.img
	qemu-storage-daemon --blockdev file,node-name=f,filename=q.img,discard=unmap \
		--export vhost-user-blk,id=e,node-name=f,writable=on,addr.type=unix,addr.path=q.sock \
		>qsd.log 2>&1 &
	qsd=$!; pids+=($qsd)
	await q.sock || exit 1
	TENON_ENGINE=$engine timeout 300 "$io" vhost-user:q.sock write 0 8M 1 verify 0 8M 1 \
		write 12M 3M 2 fua 20480 4096 3 verify 20480 4096 3 zero 1M 1M expect 1M 1M 0 \
		discard 13M 1M flush storm 7 200 >io.log 2>&1 ||
		{ cat io.log; fail "our client at qemu-storage-daemon ($engine)"; }
	TENON_ENGINE=$engine timeout 300 "$io" vhost-user:q.sock verify 12M 1M 2 >io.log 2>&1 ||
		{ cat io.log; fail "a second connection ($engine)"; }
	stop $qsd
	"$io" q.img verify 12M 1M 2 expect 1M 1M 0 >io.log 2>&1 ||
		{ cat io.log; fail "what qemu-storage-daemon stored ($engine)"; }
	rm -f q.sock
done

# ---- Our client, our server ----
for engine in uring aio; do
	truncate -s 0 t.img; truncate -s 32M t.img
	TENON_ENGINE=$engine "$server" t.sock file t.img >server.log 2>&1 &
	pid=$!; pids+=($pid)
	await t.sock || exit 1
	timeout 300 "$io" vhost-user:t.sock write 0 8M 1 verify 0 8M 1 zero 1M 1M expect 1M 1M 0 \
		unmap 2M 1M discard 3M 1M flush storm 8 400 write 16M 1M 5 >io.log 2>&1 ||
		{ cat io.log; fail "our client at our server ($engine)"; }
	stop $pid
	[ -e t.sock ] && fail "the server left its socket"
	"$io" t.img verify 16M 1M 5 expect 1M 2M 0 >io.log 2>&1 ||
		{ cat io.log; fail "what our server stored ($engine)"; }
done

# ---- QEMU's front-end, our server: the BIOS reads a boot sector that writes to the debug port ----
# mov al,'T'; out 0xe9,al; mov dx,0x501; out dx,al (isa-debug-exit)
printf '\260T\346\351\272\001\005\356\364' >boot.bin
truncate -s 1M boot.img
dd if=boot.bin of=boot.img conv=notrunc status=none
printf '\125\252' | dd of=boot.img bs=1 seek=510 conv=notrunc status=none
for engine in uring aio; do
	TENON_ENGINE=$engine "$server" b.sock file boot.img read-only >server.log 2>&1 &
	pid=$!; pids+=($pid)
	await b.sock || exit 1
	timeout 60 qemu-system-x86_64 -accel tcg -m 64 -display none -nodefaults -smp 4 \
		-object memory-backend-memfd,id=m,size=64M,share=on -machine q35,memory-backend=m \
		-debugcon file:debug.out -device isa-debug-exit,iobase=0x501,iosize=1 \
		-chardev socket,id=c,path=b.sock \
		-device vhost-user-blk-pci,chardev=c,bootindex=0 >qemu.log 2>&1
	tail -c 1 debug.out | grep -q T || { cat qemu.log server.log; fail "QEMU does not boot ($engine)"; }
	stop $pid
	grep -q 'failed 0 unsupported 0' server.log || { cat server.log; fail "failed requests ($engine)"; }
done

# ---- What is not there ----
"$io" vhost-user:none.sock flush >io.log 2>&1 && fail "opened a socket that is not there"
grep -q 'none.sock: cannot connect' io.log || { cat io.log; fail "no message"; }

[ $failures = 0 ] && echo "vhost-user-blk with QEMU: passed"
exit $((failures != 0))
