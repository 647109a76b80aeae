#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon switch list`: the switches of this user, also those that do not answer; what a killed one left is removed and told.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/processes.sh
TENON=$(realpath "${TENON:-build/tenon}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
pids=()
cleanup() {
	local pid
	for pid in "${pids[@]}"; do kill -CONT "$pid" 2>/dev/null; kill "$pid" 2>/dev/null; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run
failures=0
problem() { echo "FAILED line ${BASH_LINENO[0]}: $*"; failures=$((failures + 1)); }
start() { # NAME ARGUMENT...
	rm -f "$1.out"
	"$TENON" switch run "$@" >"$1.out" 2>&1 &
	pids+=($!)
	for _ in $(seq 1200); do grep -qs ready "$1.out" && return; sleep 0.05; done
	problem "switch $1 did not start: $(cat "$1.out")"
}
# What is listed is as the Python expression `rows` says.
lists() {
	"$TENON" switch list --json >rows 2>said || problem "$(cat said)"
	python3 -c "import json, sys
rows = {row['name']: row for row in json.load(open('rows'))}
sys.exit(not ($1))" || problem "$1: $(cat rows said)"
}

lists 'rows == {}'
start b --socket-dir s --port one=vhost-user --port two=pcap,record=two.pcap
start a --threads 2
start bonded --port bond0=bond
grep -q 'ready: bond0$' bonded.out || problem "$(cat bonded.out)"
"$TENON" switch stop bonded || problem "stop"
unset 'pids[-1]'
lists 'sorted(rows) == ["a", "b"]'
lists "rows['a']['pid'] == ${pids[-1]} and rows['a']['threads'] == 2 and rows['a']['port_count'] == 0 and rows['a']['sockets'] == []"
lists "rows['b']['port_count'] == 2 and rows['b']['sockets'] == ['$work/s/one.sock'] and rows['b']['state'] == 'running'"
lists "rows['b']['control'] == '$work/run/switch-b.sock' and rows['b']['problem'] is None"
[ "$("$TENON" switch list -H -o SWITCH,PORTS | tr '\t\n' ' ,')" = "a 0,b 2," ] || problem "$("$TENON" switch list -H -o SWITCH,PORTS)"

# One that is stopped is there, with its process, and is not waited for long.
stop_process "${pids[-1]}"
lists "rows['a']['state'] == 'does not answer' and '${pids[-1]}' in rows['a']['problem'] and rows['a']['port_count'] is None"
lists "rows['b']['state'] == 'running'"
kill -CONT "${pids[-1]}"

# One with as many clients as it takes says so, and its socket stays.
python3 - run/switch-b.sock "$TENON" <<'PYTHON' || problem "a full switch"
import glob, json, socket, subprocess, sys, time
clients = []
for _ in range(256):
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
    clients.append(client)
for arguments in ["show", "b"], ["port", "list", "b"], ["stop", "b"]:
    done = subprocess.run([sys.argv[2], "switch", *arguments], capture_output=True, text=True)
    assert done.returncode == 1 and "has 256 clients" in done.stderr and "none of that name" not in done.stderr, done
rows = {row["name"]: row for row in json.loads(subprocess.check_output([sys.argv[2], "switch", "list", "--json"]))}
assert "has 256 clients" in rows["b"]["problem"], rows
assert glob.glob(sys.argv[1])
PYTHON
for _ in $(seq 600); do "$TENON" switch show b >shown 2>&1 && break; sleep 0.1; done
grep -q '^one ' shown || problem "it is lost: $(cat shown)"

# One that was killed is told once.
kill -9 "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null
lists 'sorted(rows) == ["b"]'
grep -q 'run/switch-a.sock: the switch was killed: its control socket is removed' said || problem "not told: $(cat said)"
[ ! -e run/switch-a.sock ] || problem "it is left"
lists 'sorted(rows) == ["b"]'
[ ! -s said ] || problem "told again: $(cat said)"

# Those in another namespace of processes have no number here, nor another's; and are stopped by their sockets.
if unshare -r --pid --fork true 2>/dev/null; then
	TENON=$TENON unshare -r --pid --fork bash -c '"$TENON" status >far 2>&1; "$TENON" switch list --json >far.json 2>&1'
	grep -q '^switch b, a process that is not seen from here$' far || problem "$(cat far)"
	python3 -c 'import json; row, = json.load(open("far.json")); assert row["pid"] is None and row["command"] is None and row["state"] == "running", row' || problem "$(cat far.json)"
	unshare -r --pid --fork "$TENON" switch run inner >inner.out 2>&1 &
	pids+=($!)
	for _ in $(seq 1200); do grep -qs ready inner.out && break; sleep 0.05; done
	timeout 100 "$TENON" switch stop inner >said 2>&1 || problem "stop from without: $(cat said)"
	wait "${pids[-1]}"
	unset 'pids[-1]'
	timeout 100 unshare -r --pid --fork "$TENON" switch stop b >said 2>&1 || problem "stop from within: $(cat said)"
	wait "${pids[0]}"
fi
# Who listens is there, whatever number the socket's name has.
python3 - run/serve-4194304.sock "$TENON" <<'PYTHON' || problem "a server of a number that is nobody's"
import os, socket, subprocess, sys, threading
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
def hang_up():
    while True:
        listener.accept()[0].close()
threading.Thread(target=hang_up, daemon=True).start()
subprocess.run([sys.argv[2], "status", "--json"], check=True, stdout=subprocess.DEVNULL)
assert os.path.exists(sys.argv[1]), "its socket was removed"
os.unlink(sys.argv[1])
PYTHON
"$TENON" switch list x >said 2>&1 && problem "an operand was taken"
[ $failures = 0 ]
