#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Leases (lib/block/lease.h): the nbdkit plugin reads and writes a linear volume by itself, and lets go of it whenever what the volume lies
# on changes; with changes, stopped and killed processes under an NBD client that knows what it wrote.
set -u
. "$(dirname "$0")/lib.sh"
PLUGIN=$(realpath "${TENON%/*}/nbdkit-tenon-plugin.so" 2>/dev/null) || { echo 'the plugin is not built'; exit 77; }
case $PLUGIN in *sanitize*) echo 'nbdkit has no sanitizer for a plugin that needs one'; exit 77 ;; esac
command -v nbdkit >/dev/null || { echo 'nbdkit is not installed'; exit 77; }
stamps=$(realpath tests/interop/nbd_stamps.py)
inside=$(realpath tests/interop/lease_inside.py)
cd "$work" || exit 1
truncate -s 256M a.img b.img
export TENON_DEVICES=$work/a.img:$work/b.img TENON_STATE_DIR=$work/state
"$TENON" vg create vg a.img b.img && "$TENON" lv create vg/l --size 32M a.img || problem 'cannot make a volume'
serve() {
	launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
	server=$launched
}
export_disk() {
	rm -f nbd.sock nbd.pid
	nbdkit -f -U nbd.sock -P nbd.pid "$PLUGIN" vg/l 2>>nbdkit.err &
	nbdkit=$!
	pids+=($nbdkit)
	wait_for test -s nbd.pid
}
has_lease() { ls -l /proc/"$nbdkit"/fd 2>/dev/null | grep -q "$work/[ab].img"; }
has_none() { ! has_lease; }
# use SECONDS: the client in the background, as $client
use() {
	rm -f state.json.stop
	"$stamps" nbd.sock state.json "$1" >client.out 2>&1 &
	client=$!
	pids+=($client)
}
stop() { : >state.json.stop; }
# Its end, with that exit status, and what the disk holds then by way of the server.
used() {
	local rc
	wait "$client"
	rc=$?
	[ $rc = "$1" ] || problem "the client gave $rc, expected $1: $(cat client.out)"
	"$TENON" copy vg/l disk.img --force >/dev/null || problem 'cannot copy the disk'
	"$stamps" --check state.json disk.img || problem 'the disk has something else'
	rm -f disk.img
}

serve
export_disk
use 120
wait_for has_lease
# ---- Whatever changes under it ----
expect 0 '' "$TENON" lv move vg/l b.img
expect 0 '' "$TENON" lv extend vg/l --size +4M
wait_for has_lease
expect 0 '' "$TENON" lv limit vg/l --iops 100000
wait_for has_none
expect 0 '' "$TENON" lv limit vg/l --none
wait_for has_lease
expect 0 '' "$TENON" lv move vg/l a.img
stop
used 0

# ---- A client that is stopped, anywhere: a change is made, or refused with its name; neither waits for ever ----
use 120
wait_for has_lease
for to in b.img a.img b.img; do
	stop_process "$nbdkit"
	timeout 60 "$TENON" lv extend vg/l --size +4M >out 2>&1
	rc=$?
	[ $rc = 0 ] || { [ $rc = 1 ] && grep -q "process $nbdkit .*kill -CONT $nbdkit" <<<"$(tr '\n' ' ' <out)"; } ||
		problem "a stopped client: $rc, $(cat out)"
	kill -CONT "$nbdkit"
	expect 0 '' "$TENON" lv move vg/l $to
done
stop
used 0

# ---- One that is stopped inside, whatever it says on its connection: its disk stays where it is until it goes on, or is killed ----
kill "$nbdkit"
wait "$nbdkit" 2>/dev/null
"$TENON" lv move vg/l b.img >/dev/null 2>&1
enter() {
	launch inside.out "$inside" "$(find "$TENON_RUNTIME_DIR" -name "serve-$server.sock")" vg/l "$@" || problem "no lease: $(cat inside.out)"
	user=$launched
	[ $# -gt 0 ] || wait_for grep -q '^State:.*stopped' "/proc/$user/status"
}
enter
for change in 'lv extend vg/l --size +4M' 'lv move vg/l a.img' 'pv move b.img a.img' 'lv limit vg/l --iops 1000' 'lv rename vg/l m' \
	'lv change vg/l --read-only' 'lv convert vg/l --type raid1' 'lv remove vg/l'; do
	expect 1 "kill -CONT $user" timeout 60 "$TENON" $change
done
kill -CONT "$user"
wait "$user"
grep -q 'over 1' inside.out || problem "it was not told: $(cat inside.out)"
"$TENON" copy vg/l disk.img --force >/dev/null && [ "$(head -c 8 disk.img)" = 'inside  ' ] || problem 'its write went elsewhere'
enter
kill -9 "$user"
wait "$user" 2>/dev/null
expect 0 '' timeout 60 "$TENON" lv move vg/l a.img
expect 0 '' timeout 60 "$TENON" lv rename vg/l m
expect 0 '' timeout 60 "$TENON" lv rename vg/m l
# One that runs, lies and never leaves: a change is refused, with who it is, after a while that has an end.
enter lie
expect 1 "process $user .*does not end that" timeout 60 "$TENON" lv extend vg/l --size +4M
kill -9 "$user"
wait "$user" 2>/dev/null
expect 0 '' timeout 60 "$TENON" lv extend vg/l --size +4M
# A server ends beside one that is stopped inside; what it had locked is not free, and it is said why; it may write where it was then, or be killed.
enter
kill "$server"
for _ in $(seq 600); do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
! kill -0 "$server" 2>/dev/null || problem 'a server does not end beside a stopped process'
wait "$server" || problem "the server ended with $?: $(cat serve.out)"
expect 1 "in use by process $user .*stopped" "$TENON" lv extend vg/l --size +4M
kill -9 "$user"
wait "$user" 2>/dev/null
expect 0 '' "$TENON" lv extend vg/l --size +4M
serve
export_disk

# ---- A server that is stopped, and goes on ----
use 4
wait_for has_lease
stop_process "$server"
sleep 1
kill -CONT "$server"
used 0

# Where a request was told that it is stopped, nbdkit has left the disk, which others may have alone then: it does not write there by itself.
PYTHONPATH=${stamps%/*} PYTHONDONTWRITEBYTECODE=1 timeout 300 python3 - "$server" "$nbdkit" <<'EOF' || problem 'nbdkit kept a disk that it has left'
import glob, os, signal, sys, time
import nbd_stamps as nbd

def has_lease():
    folder = "/proc/%s/fd/" % sys.argv[2]
    return any(name.endswith(".img") for name in map(os.readlink, (folder + fd for fd in os.listdir(folder) if os.path.islink(folder + fd))))

server = int(sys.argv[1])
connection = nbd.Connection("nbd.sock")
for _ in range(600):
    connection.ask(nbd.FLUSH)
    if has_lease():
        break
    time.sleep(0.1)
had, told = has_lease(), False
os.kill(server, signal.SIGSTOP)
while not all(") T " in open(path).read() for path in glob.glob("/proc/%d/task/*/stat" % server)): # one of them takes the signal, whenever it runs
    time.sleep(0.01)
try:
    connection.ask(nbd.FLUSH)
except OSError:
    told = True
os.kill(server, signal.SIGCONT)
for _ in range(600):
    if not has_lease():
        break
    time.sleep(0.1)
if not had or not told or has_lease():
    sys.exit("had one: %s, was told: %s, has one: %s" % (had, told, has_lease()))
EOF

# ---- A server that is killed: the next one has the disks at once, and no lease of the last lives on ----
use 20
wait_for has_lease
kill -9 "$server"
wait "$server" 2>/dev/null
serve
used 3
use 3
wait_for has_lease
used 0
# One that comes while the client is stopped, who has what is locked, says who it is.
use 20
wait_for has_lease
stop_process "$nbdkit"
kill -9 "$server"
wait "$server" 2>/dev/null
expect 1 "in use by process $nbdkit .*stopped" "$TENON" lv extend vg/l --size +4M
kill -CONT "$nbdkit"
serve
wait "$client"
"$TENON" copy vg/l disk.img --force >/dev/null && "$stamps" --check state.json disk.img || problem 'the disk has something else'

# ---- A client that is killed in the middle: its disk is free, and changes do not wait for it ----
for _ in $(seq ${TORTURE:+1}3); do
	use 20
	wait_for has_lease
	kill -9 "$nbdkit"
	wait "$nbdkit" 2>/dev/null
	expect 0 '' timeout 60 "$TENON" lv extend vg/l --size +4M
	used 3
	export_disk
done

# ---- Ends ----
use 20
wait_for has_lease
kill "$server"
wait "$server" || problem "the server ended with $?: $(cat serve.out)"
expect 0 '' "$TENON" lv extend vg/l --size +4M
wait "$client"
kill "$nbdkit"
wait "$nbdkit" 2>/dev/null
! grep -qi 'sanitizer\|assert' nbdkit.err serve.out || problem "said: $(cat nbdkit.err serve.out)"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'volumes that a process reads and writes by itself'
