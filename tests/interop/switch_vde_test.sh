#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A port for clients of Virtual Distributed Ethernet, judged by these: vde_plug and QEMU (-netdev vde) join two networks of the switch,
# vde_plug2tap brings a TAP of its own; they go, are killed, and come back. Who does not speak the protocol is turned away.
. "$(dirname "$0")/switch_lib.sh"
for tool in vde_plug dpipe vde_plug2tap; do command -v $tool >/dev/null || lab_skip "$tool is not installed"; done
lab_enter "$@"

await_up() {
	for _ in $(seq 600); do
		[ "$(lab_stat "$1" up)" = "$2" ] && return
		sleep 0.1
	done
	lab_fail "port $1 is not $2"
	lab_done
}
reach() { # FROM ADDRESS
	for _ in $(seq 60); do ip netns exec "$1" busybox ping -c 1 -W 1 "$2" >ping && return; done
	lab_fail "no answer from $2: $(cat ping)"
	lab_done
}
plug() { dpipe vde_plug "vde://$LAB/v" = vde_plug "vde://$LAB/w" >plug.log 2>&1 & PLUG=$!; LAB_PIDS+=($PLUG); }

lab_switch lab --port a=tap:ta,vlan=1 --port v=vde:v,vlan=1 --port b=tap:tb,vlan=2 --port "w=vde:$LAB/w,vlan=2"
lab_host a ta 10.0.0.1/24
lab_host b tb 10.0.0.2/24
[ "$(stat -c %a v v/ctl | tr '\n' ' ')" = '700 600 ' ] || lab_fail "modes: $(stat -c '%n %a' v v/ctl)"
plug
await_up v True
await_up w True
both_ways() {
	reach a 10.0.0.2
	lab_carry a ta b tb
	lab_carry b tb a ta
	lab_transfer a b 3000000 10.0.0.2 tcp
	lab_transfer b a 3000000 10.0.0.1 tcp
}
both_ways
# Another one is refused while the first is there.
timeout 60 vde_plug "vde://$LAB/v" </dev/null >second 2>&1 && lab_fail "a second client was taken"
# Killed, the next one has the place.
kill -9 $(cat /proc/$PLUG/task/$PLUG/children) 2>/dev/null
kill -9 $PLUG 2>/dev/null
wait $PLUG 2>/dev/null
await_up v False
await_up w False
plug
await_up v True
reach b 10.0.0.1
kill $(cat /proc/$PLUG/task/$PLUG/children) 2>/dev/null
kill $PLUG 2>/dev/null
await_up v False

# QEMU in its place, whose hub joins what it reaches by two clients of its own.
if qemu-system-x86_64 -M none -netdev help 2>/dev/null | grep -qx vde; then
	qemu-system-x86_64 -M none -accel tcg -nodefaults -display none -nographic -monitor none -serial none \
		-netdev "vde,id=v,sock=$LAB/v" -netdev hubport,id=h1,hubid=0,netdev=v \
		-netdev "vde,id=w,sock=$LAB/w" -netdev hubport,id=h2,hubid=0,netdev=w </dev/null >qemu.log 2>&1 &
	QEMU=$!
	LAB_PIDS+=($QEMU)
	await_up v True
	await_up w True
	both_ways
	kill $QEMU
	wait $QEMU
	await_up v False
	await_up w False
else
	echo "# no QEMU with -netdev vde"
fi

# A TAP of VDE's in a namespace of its own.
vde_plug2tap -s "$LAB/v" tv >tap.log 2>&1 &
LAB_PIDS+=($!)
await_up v True
lab_host c tv 10.0.0.3/24
reach a 10.0.0.3
lab_transfer c a 3000000 10.0.0.1 tcp

# One directory, three ports: each client has one of its own, in their order; a fourth is turned away. A port that goes takes none with it.
for i in 1 2 3; do "$TENON" switch port add lab "m$i=vde:$LAB/m,vlan=3" || lab_fail "port add m$i"; done
for i in 1 2 3; do
	vde_plug2tap -s "$LAB/m" "tm$i" >tap.log 2>&1 &
	LAB_PIDS+=($!)
	plugged[i]=$!
	await_up "m$i" True
	lab_host "n$i" "tm$i" "10.0.3.$i/24"
done
reach n1 10.0.3.2
reach n2 10.0.3.3
reach n3 10.0.3.1
lab_transfer n1 n3 1000000 10.0.3.3 tcp
timeout 60 vde_plug "vde://$LAB/m" </dev/null >second 2>&1 && lab_fail "a fourth client was taken"
"$TENON" switch port remove lab m1 || lab_fail "port remove"
reach n2 10.0.3.3
kill -9 "${plugged[2]}"
await_up m2 False
"$TENON" switch port add lab "m4=vde:$LAB/m,vlan=3" || lab_fail "port add m4"
vde_plug2tap -s "$LAB/m" tm4 >tap.log 2>&1 &
LAB_PIDS+=($!)
await_up m4 True
lab_host n4 tm4 10.0.3.4/24
reach n4 10.0.3.3
"$TENON" link set lab m3 --delay 1ms || lab_fail "link set"
"$TENON" switch port add lab "m5=vde:$LAB/m,vlan=3" || lab_fail "a port beside one with a link"
reach n4 10.0.3.3
for i in 2 3 4 5; do "$TENON" switch port remove lab "m$i" || lab_fail "port remove m$i"; done
[ ! -e m ] || lab_fail "the directory is there still"

# Strangers.
python3 - "$LAB/w" <<'PYTHON' || lab_fail "a stranger was not turned away"
import os, socket, struct, sys
directory = sys.argv[1]
victim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
victim.bind(directory + "/victim")
os.chmod(directory + "/victim", 0o666)
def request(magic=0xfeedface, version=3, family=1, path=directory + "/victim"):
    return struct.pack("=IIIH108s", magic, version, 0, family, path.encode())
def ask(data):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(directory + "/ctl")
    s.settimeout(60)
    s.sendall(data)
    try:
        answer = s.recv(200)
    except ConnectionResetError: # it did not read all
        answer = b""
    s.close()
    return answer
for bad in (request(magic=1), request(version=4), request(family=2), request(path="victim"), request(path="/" + "x" * 107),
            request(path="/dev/null"), request(path=""), b"\xff" * 300):
    assert ask(bad) == b"", bad
assert len(ask(request() + b"a client that says who it is")) == 110
PYTHON
lab_end || lab_fail "the switch ended with $?"
[ ! -e v/ctl ] && [ ! -e v/ctl.data ] || lab_fail "left behind: $(ls v)"
lab_done
