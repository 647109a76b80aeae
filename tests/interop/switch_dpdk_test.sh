#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon switch` with DPDK's virtio-user as vhost-user front-end, a driver that is not ours: frames pass
# between two of its ports, over split and packed rings, in order and not; none is lost without a counter, it may
# leave and come back; and frames reach a TAP; with four queue pairs on each of them. And where DPDK listens and the switch connects, also one that was killed.
set -u
. "$(dirname "$0")/switch_lib.sh"
command -v dpdk-testpmd >/dev/null || lab_skip "dpdk-testpmd (package dpdk-dev) is not installed"
lab_enter "$@"

pmd() { # VDEV-OPTIONS SECONDS ARGUMENT...: until stop_pmd(); the limit is for one that hangs
	local ring=$1 seconds=$2; shift 2
	# In the foreground, timeout sends one SIGINT, not another to the group: the second kills a newer testpmd.
	timeout --foreground -s INT -k 60 "$seconds" dpdk-testpmd --no-huge -m 128 --no-pci -l 0,1 --main-lcore=1 --file-prefix=tenon$$ \
		--vdev=virtio_user0,path="$LAB/a.sock",queue_size=256$ring --vdev=virtio_user1,path="$LAB/b.sock",queue_size=256$ring \
		-- --no-mlockall --total-num-mbufs=8192 --nb-cores=1 --auto-start --stats-period=1 "$@" >pmd.out 2>&1
	grep -q 'Bye' pmd.out || { tail -n 20 pmd.out; return 1; }
}

# Its process is told to end, as by Ctrl-C.
stop_pmd() {
	local pid
	for pid in $(cat "/proc/$PMD/task/$PMD/children"); do # timeout
		kill -INT $(cat "/proc/$pid/task/$pid/children")
	done
}

had() { lab_show >had.json; }
counts() { # CONNECTIONS WHAT: until a and b have had so many, and have received and sent a thousand frames since had()
	for _ in $(seq 600); do
		lab_show | python3 -c '
import json, sys
had = {p["name"]: p for p in json.load(open("had.json"))["ports"]}
ports = [p for p in json.load(sys.stdin)["ports"] if p["name"] in ("a", "b")]
assert all(p["connections"] >= int(sys.argv[1]) for p in ports)
assert all(p[way] > had[p["name"]][way] + 1000 for p in ports for way in ("rx_frames", "tx_frames"))' "$1" 2>/dev/null && return
		sleep 0.1
	done
	lab_fail "$2: the ports do not get so far: $(lab_show)"
}
is_down() { # PORT
	for _ in $(seq 600); do [ "$(lab_stat "$1" up)" = False ] && return; sleep 0.1; done
	lab_fail "port $1 is up with nobody there"
}

lab_switch lab --port a=vhost-user --port b=vhost-user --port t=tap:tapt
round=0
for ring in "" ,packed_vq=1,in_order=0 ,packed_vq=1,in_order=1 ,packed_vq=1,in_order=0,mrg_rxbuf=0; do
	round=$((round + 1))
	had
	pmd "$ring" 900 --forward-mode=flowgen --flowgen-flows=4 --txpkts=$((round * 300)) &
	PMD=$!
	counts $round "testpmd$ring"
	seen=$(lab_stat a features)
	stop_pmd
	wait $PMD || lab_fail "testpmd$ring"
	case $ring,$seen in
	*packed*packed* | ,*) ;;
	*) lab_fail "port a$ring: negotiated $seen" ;;
	esac
	for port in a b; do
		[ "$(lab_stat $port connections)" = $round ] || lab_fail "port $port$ring: connections"
		is_down $port
	done
	grep -aE 'RX-packets: [0-9]{4}' pmd.out >/dev/null || { tail -n 40 pmd.out; lab_fail "testpmd$ring received nothing"; }
done
# What came in at a went out at b, or is counted there; the TAP's stack sends a few frames besides. While
# one of both is already gone, frames to it are flooded, to the TAP alone.
lab_show | python3 -c '
import json, sys
ports = {p["name"]: p for p in json.load(sys.stdin)["ports"]}
for one, other in ("ab", "ba"):
    came = ports[one]["rx_frames"]
    went = ports[other]["tx_frames"] + sum(ports[other]["drops"].get(why, 0) for why in ("no_buffer", "rx_disabled", "down"))
    flooded = ports[one]["flooded"]
    print(one, came, went, flooded)
    assert came - flooded <= went <= came + ports["t"]["rx_frames"]
' >sums 2>&1 || { cat sums; lab_fail "frames went missing without a counter"; }
[ "$(lab_stat t tx_frames)" -gt 1000 ] || lab_fail "no frames at the TAP"
lab_end || lab_fail "the switch's exit status was $?"

# The front-ends listen, and the switch connects: it is there first; it is killed and another one goes on with the same rings; and front-ends go
# and come.
clients=(--port "a=vhost-user:a.sock,client" --port "b=vhost-user:$LAB/b.sock,client")
for ring in "" ,packed_vq=1,in_order=0; do
	rm -f a.sock b.sock
	lab_switch lab "${clients[@]}"
	had
	lab_stat a state | grep -q "cannot connect to a.sock: No such file" || lab_fail "the port does not say why it is down: $(lab_stat a state)"
	pmd "$ring,server=1" 900 --forward-mode=flowgen --flowgen-flows=4 --txpkts=300 &
	PMD=$!
	counts 1 "server$ring"
	kill -9 $LAB_PID
	wait $LAB_PID
	lab_switch lab "${clients[@]}"
	had
	counts 1 "another switch$ring"
	stop_pmd
	wait $PMD || lab_fail "testpmd$ring,server=1"
	is_down a
	rm -f a.sock b.sock
	had
	pmd "$ring,server=1" 900 --forward-mode=flowgen --flowgen-flows=4 --txpkts=300 &
	PMD=$!
	counts 2 "another front-end$ring"
	stop_pmd
	wait $PMD || lab_fail "another testpmd$ring,server=1"
	lab_end || lab_fail "the switch's exit status was $?"
done
# Four queue pairs: testpmd receives on each of them, also from a switch that came after one that was killed.
for ring in "" ,packed_vq=1,in_order=0; do
	rm -f a.sock b.sock
	lab_switch lab --port "a=vhost-user:a.sock,client,queues=4" --port "b=vhost-user:$LAB/b.sock,client,queues=8"
	had
	pmd "$ring,queues=4,cq=1,server=1" 900 --rxq=4 --txq=4 --forward-mode=flowgen --flowgen-flows=64 --txpkts=300 &
	PMD=$!
	counts 1 "four queues$ring"
	kill -9 $LAB_PID
	wait $LAB_PID
	lab_switch lab --port "a=vhost-user:a.sock,client,queues=4" --port "b=vhost-user:$LAB/b.sock,client,queues=8"
	had
	counts 1 "another switch, four queues$ring"
	lab_stat b features | grep -q "queues=4" || lab_fail "port b$ring: $(lab_stat b features)"
	stop_pmd
	wait $PMD || lab_fail "testpmd$ring,queues=4"
	for queue in 0 1 2 3; do
		grep -aA1 "Forward Stats for RX Port= 0/Queue= $queue " pmd.out | grep -qE 'RX-packets: [0-9]{3}' || lab_fail "testpmd$ring received nothing on queue $queue"
	done
	lab_end || lab_fail "the switch's exit status was $?"
done
"$TENON" switch run other --socket-dir "$LAB" --port x=vhost-user,client 2>err
[ $? = 2 ] && grep -q 'expected an address to connect to, as in vhost-user:PATH,client' err || lab_fail "$(cat err)"
lab_done
