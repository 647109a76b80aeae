#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Peers that are stopped, or whose interface or namespace goes, cost nobody else anything: two hosts go on, verbs answer, and whoever comes back is
# served again. The process of an uplink, a client of VDE, a host of a TAP, the veth of a packet port with its namespace, and
# vhost-user front-ends that say nothing, half a message, or what is none.
. "$(dirname "$0")/switch_lib.sh"
command -v vde_plug2tap >/dev/null || lab_skip "vde_plug2tap is not installed"
ldconfig -p 2>/dev/null | grep -q 'libslirp\.so\.0' || lab_skip "libslirp0 is not installed"
lab_enter "$@"

reach() { # FROM ADDRESS
	for _ in $(seq 60); do ip netns exec "$1" busybox ping -c 1 -W 1 "$2" >ping && return; done
	lab_fail "no answer from $2: $(cat ping)"
	lab_done
}
await() { # PORT TEXT: until its state has it
	for _ in $(seq 600); do
		lab_stat "$1" state | grep -q "$2" && return
		sleep 0.1
	done
	lab_fail "port $1: expected '$2': $(lab_stat "$1" state)"
	lab_done
}
# Broadcasts to all: more than any queue of a peer has room for. Then two hosts that are not concerned.
flood() {
	ip netns exec a python3 - <<'PYTHON'
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("ta", 0))
for _ in range(3000):
    s.send(bytes.fromhex("ffffffffffff02000000000788b5") + bytes(1400))
PYTHON
}
others_go_on() {
	flood
	lab_transfer a b 3000000 10.0.2.102 tcp
}
dropped() { # PORT: it has more of these than it had
	local now
	now=$(lab_stat "$1" drops | python3 -c 'print(eval(input()).get("no_buffer", 0))')
	[ "$now" -gt 0 ] || lab_fail "port $1: nothing was dropped there: $(lab_stat "$1" drops)"
}

lab_switch lab --port a=tap:ta --port b=tap:tb --port v=vde:v --port out=user
lab_host a ta 10.0.2.101/24
lab_host b tb 10.0.2.102/24
reach a 10.0.2.2

# The uplink's process is stopped: its port says so, and goes on with it.
for child in $(cat "/proc/$LAB_PID/task/$LAB_PID/children"); do
	tr '\0' ' ' <"/proc/$child/cmdline" | grep -q uplink-process && process=$child
done
stop_process "$process"
await out "its process $process is stopped"
others_go_on
dropped out
kill -CONT "$process"
await out '^up$'
reach a 10.0.2.2
# A port whose process is stopped can be removed, and made again; the process is not left behind.
stop_process "$process"
timeout 60 "$TENON" switch port remove lab out || lab_fail "a port with a stopped process stays"
[ -e "/proc/$process" ] && lab_fail "the stopped process was left behind"
"$TENON" switch port add lab out=user || lab_fail "it is not made again"
reach b 10.0.2.2

# A client of VDE is stopped, and goes on.
vde_plug2tap -s "$LAB/v" tv >tap.log 2>&1 &
client=$!
LAB_PIDS+=($client)
await v '^up$'
lab_host c tv 10.0.2.103/24
reach a 10.0.2.103
stop_process $client
others_go_on
dropped v
timeout 60 "$TENON" switch port set lab v vlan=7 && "$TENON" switch port set lab v vlan=none || lab_fail "the port of a stopped client cannot be set"
kill -CONT $client
reach a 10.0.2.103
# It is stopped, and killed so: the next one has the place.
stop_process $client
kill -KILL $client
wait $client 2>/dev/null
await v waiting
ip netns delete c

# The namespace of a veth goes, and its interface with it; a veth of the same name is another one, of a new port.
ip link add v0 type veth peer name v1
ip netns add far
ip link set v1 netns far
ip -n far address add 10.0.2.104/24 dev v1
ip -n far link set v1 up
ip link set v0 up
"$TENON" switch port add lab p=packet:v0 || lab_fail "a packet port"
reach a 10.0.2.104
ip netns delete far
await p gone
others_go_on
"$TENON" switch port remove lab p || lab_fail "a port whose interface is gone stays"
ip link add v0 type veth peer name v1
ip link set v0 up
"$TENON" switch port add lab p=packet:v0 || lab_fail "a packet port, again"
lab_host far v1 10.0.2.104/24
reach a 10.0.2.104

# A TAP is deleted while frames go to it, and comes back.
"$TENON" switch port add lab d=tap:td || lab_fail "a TAP"
lab_host d td 10.0.2.105/24
reach a 10.0.2.105
flood &
ip -n d link delete td
wait $!
await d gone
others_go_on
ip netns delete d
ip tuntap add dev td mode tap
await d 'not up'
lab_host d td 10.0.2.105/24
reach a 10.0.2.105

# A front-end that connects and says nothing, half a message or what is none; stopped, and gone; then another.
cat >silent.py <<'PYTHON'
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect("f.sock")
if sys.argv[1] != "nothing":
    s.send({"half": b"\1\0\0\0\1", "garbage": b"x" * 500}[sys.argv[1]])
open("connected", "w").close()
time.sleep(600)
PYTHON
"$TENON" switch port add lab f=vhost-user || lab_fail "a vhost-user port"
for round in nothing half garbage nothing; do
	rm -f connected
	python3 silent.py $round &
	silent=$!
	LAB_PIDS+=($silent)
	for _ in $(seq 600); do [ -e connected ] && break; sleep 0.1; done
	[ -e connected ] || lab_fail "front-end $round: it cannot connect"
	stop_process $silent
	others_go_on
	kill -KILL $silent
	wait $silent 2>/dev/null
done
timeout 60 "$TENON" switch port remove lab f || lab_fail "the port of a silent front-end stays"

# At the end a stopped process holds nothing up.
for child in $(cat "/proc/$LAB_PID/task/$LAB_PID/children"); do
	tr '\0' ' ' <"/proc/$child/cmdline" | grep -q uplink-process && process=$child
done
stop_process "$process"
lab_end || lab_fail "the switch ended with $?"
[ -e "/proc/$process" ] && lab_fail "the stopped process was left behind at the end"
lab_done
