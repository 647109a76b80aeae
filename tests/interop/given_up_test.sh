#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What is asked of a server that is stopped, and given up: its time was over, its process was interrupted or killed. The server, once it goes on, does
# not do it, and says so; a client that has only closed the half of its connection by which it sends has its answer.
# timeout: 120
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
cd "$work" || exit 1

# send SOCKET METHOD PARAMS: by a process that is killed once its server has it to read.
send() {
	python3 - "$@" <<'END'
import json, os, signal, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": sys.argv[2], "params": json.loads(sys.argv[3])}).encode() + b"\n")
os.kill(os.getpid(), signal.SIGKILL)
END
}
# says FILE N: so many requests were not done.
says() { [ "$(grep -c 'was not done: process [0-9]*, which asked for it, had gone' "$1")" = "$2" ]; }
ports() { "$TENON" switch port list lab -H -o name | sort | tr '\n' ' '; }

"$TENON" switch run lab --socket-dir s --port a=vhost-user >lab.out 2>&1 &
switch=$!
pids+=("$switch")
wait_for grep -q '^switch lab ready' lab.out
stop_process "$switch"
expect 1 "no answer to switch.port.add from process $switch" "$TENON" switch port add lab b=vhost-user
expect 1 "is done then only if it had been begun" "$TENON" switch stop lab
send run/switch-lab.sock switch.port.remove '{"port": "a"}' 2>/dev/null
python3 - run/switch-lab.sock >half.out 2>&1 <<'END' &
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'{"jsonrpc": "2.0", "id": 7, "method": "switch.port.add", "params": {"spec": "d=vhost-user"}}\n')
client.shutdown(socket.SHUT_WR)
print("sent", flush=True)
print(client.makefile().read())
END
half=$!
pids+=("$half")
wait_for grep -q sent half.out
kill -CONT "$switch"
wait "$half"
grep -q '"id":7,"result"' half.out || problem "a client that sends no more has no answer: $(cat half.out)"
wait_for says lab.out 3
[ "$(ports)" = 'a d ' ] || problem "ports: $(ports)"
expect 0 '' "$TENON" switch stop lab

# The same of the storage server.
truncate -s 64M p.img
export TENON_DEVICES=$work/p.img
expect 0 '' "$TENON" vg create vg p.img
expect 0 '' "$TENON" lv create vg/k --size 8M
launch serve.out "$TENON" serve vg --socket-dir s || problem "the server: $(cat serve.out)"
stop_process "$launched"
send run/serve-"$launched".sock lv.remove '{"name": "vg/k"}' 2>/dev/null
kill -CONT "$launched"
wait_for says serve.out 1
expect 0 '^k' "$TENON" lv list -H -o name

[ $failures = 0 ] && echo "passed"
[ $failures = 0 ]
