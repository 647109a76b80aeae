#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ports that speak QEMU's socket protocols, judged by QEMU: its hub joins two networks of the switch, one that it reaches by
# `-netdev stream` and one by `-netdev dgram`, or both by streams over IPv6. Frames and files pass both ways between two hosts, unchanged; QEMU is
# killed and comes back, and so does the switch.
. "$(dirname "$0")/switch_lib.sh"
command -v qemu-system-x86_64 >/dev/null || lab_skip "qemu-system-x86_64 is not installed"
qemu-system-x86_64 -M none -netdev help 2>/dev/null | grep -q dgram || lab_skip "QEMU has no -netdev dgram"
lab_enter "$@"

# the one network's back-end and options, and the other's
qemu_joins() {
	rm -f qemu.log
	qemu-system-x86_64 -M none -accel tcg -nodefaults -display none -nographic -monitor none -serial none \
		-netdev "$1,id=s" -netdev hubport,id=h1,hubid=0,netdev=s \
		-netdev "$2,id=d" -netdev hubport,id=h2,hubid=0,netdev=d </dev/null >qemu.log 2>&1 &
	QEMU=$!
	LAB_PIDS+=($QEMU)
}
qemu() { qemu_joins "stream,$1" "dgram,$2"; }

# until the switch says so of the port
await_up() {
	for _ in $(seq 600); do
		[ "$(lab_stat "$1" up)" = "$2" ] && return
		sleep 0.1
	done
	lab_fail "port $1 is not $2: $(cat qemu.log)"
	lab_done
}

reach() {
	for _ in $(seq 60); do ip netns exec a busybox ping -c 1 -W 1 10.0.0.2 >ping && return; done
	cat ping qemu.log
	lab_fail "$1: no answer"
	lab_done
}

both_ways() {
	reach "$1"
	lab_carry a ta b tb
	lab_carry b tb a ta
	lab_transfer a b 3000000 10.0.0.2 tcp
	lab_transfer b a 3000000 10.0.0.1 tcp
	# In QEMU a datagram overtakes the one before it that a full socket did not take (net/queue.c).
	lab_transfer a b 60000 10.0.0.2 unordered
}

hosts() { lab_host a ta 10.0.0.1/24; lab_host b tb 10.0.0.2/24; }

# The switch listens, by its own sockets.
lab_switch lab --port a=tap:ta,vlan=1 --port s=qemu-stream,vlan=1 --port b=tap:tb,vlan=2 \
	--port "d=qemu-dgram,remote=$LAB/qd,vlan=2"
hosts
[ "$(stat -c %a s.sock d.sock | sort -u)" = 600 ] || lab_fail "modes of the sockets: $(stat -c %a s.sock d.sock)"
to_switch="addr.type=unix,server=off,addr.path=$LAB/s.sock local.type=unix,local.path=$LAB/qd,remote.type=unix,remote.path=$LAB/d.sock"
qemu $to_switch
await_up s True
both_ways "paths"
# QEMU is killed, and another one comes.
kill -9 $QEMU
wait $QEMU
await_up s False
rm -f qd
qemu $to_switch
await_up s True
reach "another QEMU"
kill $QEMU
wait $QEMU
lab_end || lab_fail "the switch ended with $?"
[ ! -e s.sock ] && [ ! -e d.sock ] || lab_fail "sockets were left behind"

# QEMU listens, and everything goes by TCP and UDP; the switch comes second, and again.
qemu "addr.type=inet,server=on,addr.host=127.0.0.1,addr.port=7001" \
	"local.type=inet,local.host=127.0.0.1,local.port=7002,remote.type=inet,remote.host=127.0.0.1,remote.port=7003"
ip netns delete a; ip netns delete b
for round in 1 2; do
	lab_switch lab --port a=tap:ta,vlan=1 --port s=qemu-stream:tcp:127.0.0.1:7001,client,vlan=1 --port b=tap:tb,vlan=2
	hosts
	await_up s True
	# QEMU 7.2 crashes when a frame comes for a stream to which nobody is connected yet.
	"$TENON" switch port add lab "d=qemu-dgram:udp:127.0.0.1:7003,remote=udp:127.0.0.1:7002,vlan=2" || lab_fail "the port was not added"
	reach "TCP and UDP, switch $round"
	[ $round = 1 ] && { kill -9 $LAB_PID; wait $LAB_PID; ip netns delete a; ip netns delete b; }
	kill -0 $QEMU || lab_fail "QEMU ended: $(cat qemu.log)"
	[ $round = 2 ] || { kill $QEMU; wait $QEMU; qemu "addr.type=inet,server=on,addr.host=127.0.0.1,addr.port=7001" \
		"local.type=inet,local.host=127.0.0.1,local.port=7002,remote.type=inet,remote.host=127.0.0.1,remote.port=7003"; }
done
both_ways "TCP and UDP"
kill $QEMU
wait $QEMU
lab_end || lab_fail "the switch ended with $?"
ip netns delete a; ip netns delete b

# IPv6: it connects to us, and we to it, before it is there and after it is another one.
lab_switch lab --port a=tap:ta,vlan=1 --port 's=qemu-stream:tcp:[::1]:7011,vlan=1' --port b=tap:tb,vlan=2 --port 'd=qemu-stream:tcp:[::1]:7012,client,vlan=2'
hosts
for round in first second; do
	qemu_joins stream,addr.type=inet,server=off,addr.host=::1,addr.port=7011 stream,addr.type=inet,server=on,addr.host=::1,addr.port=7012
	await_up s True
	await_up d True
	both_ways "streams over IPv6, the $round QEMU"
	kill $QEMU
	wait $QEMU
	await_up s False
	await_up d False
done
lab_end || lab_fail "the switch ended with $?"

# What cannot be is said before anything is made.
refused() { # WORDS OPTIONS...
	local words=$1
	shift
	"$TENON" switch run other --socket-dir "$LAB" "$@" 2>err
	[ $? = 2 ] && grep -q -- "$words" err || lab_fail "$*: expected \"$words\", found: $(cat err)"
}
refused 'expected the path of a socket, or tcp:HOST:PORT' --port x=qemu-stream:tcp:localhost:1
refused 'expected an address to connect to' --port x=qemu-stream,client
refused '"remote=" is missing' --port x=qemu-dgram
refused 'of the same kind' --port x=qemu-dgram,remote=udp:127.0.0.1:1
refused 'is the one of port x already' --port x=qemu-stream:p --port y=qemu-stream:p
refused 'PORT=qemu-stream' --port x=qemu-strea
lab_done
