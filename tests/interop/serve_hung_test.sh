#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# One process that hangs: commands about other things go on, those about its own end in time and name it.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/processes.sh
TENON=$(realpath "${TENON:-build/tenon}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
pids=
cleanup() {
	for pid in $pids; do kill -CONT "$pid" 2>/dev/null; kill "$pid" 2>/dev/null; done
	fsfreeze -u mnt 2>/dev/null
	wait
	umount mnt 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none TENON_DEVICES=$work/p.img:$work/q.img:$work/r.img
failures=0
problem() { echo "FAILED line ${BASH_LINENO[1]}: $*"; failures=$((failures + 1)); }
# ends STATUS PATTERN COMMAND...: in far less than the limit of a call, with this status and message.
ends() {
	local status=$1 pattern=$2 said rc
	shift 2
	said=$(timeout 40 "$@" 2>&1)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $said"
	grep -Eq -- "$pattern" <<<"$said" || problem "'$*' said: $said; expected: $pattern"
}
serve() {
	: >"said.$1"
	"$TENON" serve "$@" >"said.$1" 2>&1 &
	server=$!
	pids="$pids $server"
	for _ in $(seq 1200); do grep -q '^ready' "said.$1" && break; sleep 0.05; done
}

for name in p q r; do
	truncate -s 64M $name.img
	"$TENON" vg create vg$name $name.img && "$TENON" lv create vg$name/k --size 8M || exit 1
done
serve vgp --socket-dir s
stopped=$server
serve vgq --socket-dir s2
stop_process "$stopped"

# Nothing else is held up.
ends 0 'vgp' "$TENON" lv list
ends 0 '' "$TENON" lv create vgq/x --size 4M
ends 0 '' "$TENON" lv create vgr/x --size 4M
ends 0 'vgr' "$TENON" vg show vgr
ends 0 '' "$TENON" copy vgr/k /dev/null
ends 0 '' "$TENON" copy vgq/k /dev/null

# What is about its own says whom it waits for and what can be done.
who="process $stopped \\(.*tenon serve vgp --socket-dir s\\), started 20[0-9-]+ [0-9:]+, stopped"
ends 1 "vgp/x: .*no answer to server.describe from $who" "$TENON" lv create vgp/x --size 4M
ends 1 "kill -CONT $stopped" "$TENON" lv create vgp/x --size 4M
ends 1 "$who" "$TENON" lv remove vgp/k
ends 1 "$who" "$TENON" copy vgp/k /dev/null
ends 1 "p.img: in use by $who" "$TENON" serve vgp --socket-dir s3
ends 1 "kill -CONT $stopped" "$TENON" vg remove vgp
ends 1 "$who" "$TENON" lv create vgp/x --size 4M --device p.img

# Clients of the control socket that send half a line or do not read hold up nobody, nor the end.
control=$(ls run/serve-"$server".sock)
python3 - "$control" >clients.out 2>&1 <<'PYTHON' &
import signal, socket, sys
half, deaf = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
half.connect(sys.argv[1]); half.sendall(b'{"jsonrpc":')
deaf.connect(sys.argv[1]); deaf.setblocking(False)
try:
    while True:
        deaf.sendall(b'{"jsonrpc":"2.0","id":1,"method":"server.describe"}\n')
except BlockingIOError:
    print("full", flush=True)
signal.pause()
PYTHON
clients=$!
pids="$pids $clients"
for _ in $(seq 1200); do grep -q full clients.out && break; sleep 0.05; done
grep -q full clients.out || problem "the deaf client: $(cat clients.out)"
ends 0 '' "$TENON" lv create vgq/y --size 4M
kill "$server"
for _ in $(seq 400); do kill -0 "$server" 2>/dev/null || break; sleep 0.05; done # less than a client is waited for (RPC_PEER_NS)
kill -0 "$server" 2>/dev/null && problem "the server does not end while clients hang"
wait "$server" || problem "the server ended with $?"
kill -CONT "$stopped"
kill "$stopped"
wait "$stopped" || problem "the server that was stopped ended with $?"

# A server that is stopped, or ends, while a copy to it is under way: the copy ends as well, names it, and heeds signals.
cat >begin_copy <<'PYTHON'
import os, signal, sys
for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
PYTHON
for how in STOP TERM KILL; do
	serve vgr --socket-dir s6
	mkfifo stream
	python3 begin_copy "$TENON" copy - vgr/k <stream >copied 2>&1 &
	copying=$!
	pids="$pids $copying"
	exec 7>stream
	head -c 1M /dev/urandom >&7
	for _ in $(seq 3000); do grep -q tenon-blk-client /proc/$copying/maps 2>/dev/null && break; sleep 0.02; done
	[ $how = KILL ] || stop_process "$server"
	[ $how != KILL ] || kill -KILL "$server"
	head -c 2M /dev/urandom >&7 2>/dev/null &
	exec 7>&-
	[ $how != TERM ] || { sleep 0.2; kill -TERM $copying; }
	for _ in $(seq 1200); do kill -0 $copying 2>/dev/null || break; sleep 0.05; done
	kill -KILL $copying 2>/dev/null && problem "a copy goes on without its server ($how)"
	wait $copying
	case $how$? in
	STOP1) grep -q "vgr/k: no answer from process $server (.*stopped" copied || problem "$how: $(cat copied)" ;;
	TERM143) grep -q interrupted copied || problem "$how: $(cat copied)" ;;
	KILL1) grep -q "vgr/k: process $server, which serves it, went away" copied || problem "$how: $(cat copied)" ;;
	*) problem "a copy whose server got $how ended otherwise: $(cat copied)" ;;
	esac
	kill -CONT "$server" 2>/dev/null
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	rm stream
done

# Machines that are stopped, send half a message or half-close do not keep it from ending.
serve vgr --socket-dir s4
python3 - s4/vgr-k.sock s4/vgr-x.sock >machines.out 2>&1 <<'PYTHON' &
import os, signal, socket, struct, sys, time
def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(struct.pack('<III', 1, 1, 0))  # GET_FEATURES
    assert len(s.recv(20)) == 20
    return s
half, closed = connect(sys.argv[1]), connect(sys.argv[2])
half.sendall(b'\x01\x00\x00')
closed.shutdown(socket.SHUT_WR)
print("there", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
PYTHON
machines=$!
pids="$pids $machines"
for _ in $(seq 1200); do grep -q there machines.out && break; sleep 0.05; done
grep -q there machines.out || problem "the machines: $(cat machines.out)"
kill "$server"
for _ in $(seq 160); do kill -0 "$server" 2>/dev/null || break; sleep 0.05; done # less than last requests are waited for (LAST_TIMEOUT)
kill -0 "$server" 2>/dev/null && problem "the server does not end while machines hang"
wait "$server" || problem "the server ended with $?: $(cat said.vgr)"

# A disk that does not answer: at the end it is said for whom it waits, and what is at home on another worker is let go.
frozen() {
	mkdir mnt && truncate -s 200M fs.img && mke2fs -q -t ext4 fs.img && mount -o loop fs.img mnt || return
	export TENON_DEVICES=$work/mnt/f.img:$work/r.img:$work/x.img:$work/y.img
	truncate -s 64M mnt/f.img data.img x.img y.img
	head -c 8M /dev/urandom >data.img
	"$TENON" vg create vgf mnt/f.img && "$TENON" lv create vgf/k --size 16M
	"$TENON" raid create rr --level 1 x.img y.img >/dev/null
	serve --socket-dir s5 --workers 3
	fsfreeze -f mnt || return
	"$TENON" copy data.img vhost-user:s5/vgf-k.sock >/dev/null 2>&1 &
	pids="$pids $!"
	for _ in $(seq 1200); do grep -qs '^State:[[:space:]]*D' /proc/"$server"/task/*/status && break; sleep 0.05; done # one writes
	kill "$server"
	for _ in $(seq 1200); do grep -q 'ending: waits for' "said.--socket-dir" && break; sleep 0.05; done
	grep -q 'ending: waits for requests in flight of the client at vgf/k (s5/vgf-k.sock)' "said.--socket-dir" ||
		problem "not said for whom it waits: $(cat "said.--socket-dir")"
	for _ in $(seq 600); do "$TENON" copy md/rr /dev/null --device x.img --device y.img >/dev/null 2>&1 && break; sleep 0.1; done
	ends 0 '' "$TENON" copy md/rr /dev/null --device x.img --device y.img
	kill -0 "$server" || problem "the server did not wait for the disk"
	fsfreeze -u mnt
	wait "$server" || problem "the server ended with $? after the disk answered"
}
if [ "$(id -u)" = 0 ] && command -v fsfreeze >/dev/null && command -v mke2fs >/dev/null; then
	frozen || echo "not tried here: a disk that does not answer"
	fsfreeze -u mnt 2>/dev/null
	umount mnt 2>/dev/null
fi

[ $failures = 0 ] || exit 1
echo "passed"
