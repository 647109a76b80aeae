#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# TAP to TAP through `tenon switch`, Open vSwitch's userspace datapath and vde_switch: what each moves per
# second, and per second of processor time of the switch's process (all its threads; the kernel's work
# behind its system calls included); and through the kernel's bridge between veths, whose work is its senders'. Runs are interleaved; medians of ROUNDS (3) runs of SECONDS (3).
#
#	tcp	iperf3, one connection, offloads as the switch's ports have them
#	udp	iperf3, 1448 bytes, as fast as it goes; delivered
#	60B	60-byte frames from an AF_PACKET socket, as fast as it goes; delivered
#
# CASES: some of these.
set -u
. "$(dirname "$0")/../interop/switch_lib.sh"
BENCH=$(cd "$(dirname "$0")" && pwd)
BLAST=$(cd "$(dirname "$0")/../.." && pwd)/${BUILD:-build}/tests/bench/net_blast
for tool in iperf3 ip; do command -v $tool >/dev/null || { echo "net bench: $tool is not installed"; exit 0; }; done
lab_enter "$@"
ROUNDS=${ROUNDS:-3} SECONDS_EACH=${SECONDS_EACH:-3}

# Nanoseconds of processor time that a process has used.
cpu() { [ "$1" != none ] || { echo 0; return; }; cat /proc/"$1"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f\n", s }'; }
delivered() { ip netns exec pb awk '$1 ~ /^(b|tapb):/ { print $2, $3 }' /proc/net/dev; } # bytes, packets

start_tenon() {
	lab_switch bench --port a=tap:tapa --port b=tap:tapb
	SWITCH=$LAB_PID
}
stop_tenon() { lab_end; }

start_ovs() {
	command -v ovs-vswitchd >/dev/null || return 1
	export OVS_RUNDIR=$LAB/ovs OVS_LOGDIR=$LAB/ovs OVS_DBDIR=$LAB/ovs OVS_SYSCONFDIR=$LAB/ovs
	mkdir -p "$LAB/ovs"
	rm -f "$LAB/ovs/conf.db"
	ovsdb-tool create "$LAB/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema || return 1
	ovsdb-server "$LAB/ovs/conf.db" --remote=punix:"$LAB/ovs/db.sock" --log-file="$LAB/ovs/db.log" >/dev/null 2>&1 &
	OVSDB=$!
	for _ in $(seq 50); do listens "$LAB/ovs/db.sock" && break; sleep 0.1; done
	ovs-vsctl --no-wait --db=unix:"$LAB/ovs/db.sock" init
	ovs-vswitchd unix:"$LAB/ovs/db.sock" --log-file="$LAB/ovs/vs.log" >/dev/null 2>&1 &
	SWITCH=$!
	LAB_PIDS+=($OVSDB $SWITCH)
	timeout 20 ovs-vsctl --db=unix:"$LAB/ovs/db.sock" -- add-br br0 -- set bridge br0 datapath_type=netdev \
		-- add-port br0 tapa -- set interface tapa type=internal \
		-- add-port br0 tapb -- set interface tapb type=internal || return 1
}
stop_ovs() { kill $SWITCH $OVSDB; wait $SWITCH $OVSDB; ip link del br0 2>/dev/null; }

start_vde() {
	command -v vde_switch >/dev/null || return 1
	vde_switch -s "$LAB/vde" -p "$LAB/vde.pid" -d -t tapa -t tapb </dev/null >/dev/null 2>&1 || return 1
	for _ in $(seq 50); do [ -s "$LAB/vde.pid" ] && ip link show tapb >/dev/null 2>&1 && break; sleep 0.1; done
	SWITCH=$(cat "$LAB/vde.pid")
	LAB_PIDS+=($SWITCH)
	ip link show tapb >/dev/null 2>&1
}
stop_vde() {
	kill "$SWITCH"
	while kill -0 "$SWITCH"; do sleep 0.1; done
	rm -rf "$LAB/vde"
}

start_bridge() {
	SWITCH=none
	ip link add br0 type bridge && ip link set br0 up || return 1
	for end in a b; do
		ip link add tap$end type veth peer name br$end && ip link set br$end master br0 up || return 1
	done
}
stop_bridge() { ip link del br0; ip link del bra; ip link del brb; }

# One measurement: prints bytes, packets, seconds, processor nanoseconds.
measure() { # KIND
	local before after from to start end server
	case $1 in
	tcp|udp)
		timeout 30 ip netns exec pb iperf3 -s -1 >/dev/null 2>&1 &
		server=$!
		sleep 0.7 ;;
	esac
	before=$(delivered) from=$(cpu $SWITCH) start=$(date +%s.%N)
	case $1 in
	tcp) timeout 30 ip netns exec pa iperf3 -c 10.0.0.2 -t "$SECONDS_EACH" >/dev/null 2>&1 ;;
	udp) timeout 30 ip netns exec pa iperf3 -c 10.0.0.2 -t "$SECONDS_EACH" -u -b 0 -l 1448 >/dev/null 2>&1 ;;
	60B) timeout 30 ip netns exec pa "$BLAST" tapa "$MAC" 60 "$SECONDS_EACH" >/dev/null ;;
	esac
	end=$(date +%s.%N) to=$(cpu $SWITCH) after=$(delivered)
	case $1 in tcp|udp) kill $server 2>/dev/null; wait $server 2>/dev/null ;; esac
	echo "$before $after $start $end $from $to" |
		awk '{ printf "%.0f %.0f %.3f %.0f\n", $3 - $1, $4 - $2, $6 - $5, $8 - $7 }'
}

run() { # SWITCH
	start_"$1" || { echo "$1 cannot be started here" >&2; return; }
	lab_host pa tapa 10.0.0.1/24
	lab_host pb tapb 10.0.0.2/24
	MAC=$(ip -n pb link show tapb | awk '/link\/ether/ { print $2 }')
	if timeout 10 ip netns exec pa busybox ping -c 1 -W 3 10.0.0.2 >/dev/null; then
		for kind in ${CASES:-tcp udp 60B}; do
			echo "$1 $kind $(measure $kind)" | tee -a "$LAB/results" >&2
		done
	else
		echo "$1: no ping" >&2
	fi
	stop_"$1" >/dev/null 2>&1
	ip netns del pa; ip netns del pb
	sleep 0.3
}

echo "TAP to TAP, $ROUNDS rounds of $SECONDS_EACH s each, interleaved; raw figures (bytes packets s ns-of-CPU):" >&2
for _ in $(seq "$ROUNDS"); do for switch in tenon ovs vde bridge; do run $switch; done; done
python3 - "$LAB/results" "$BENCH" "$SECONDS_EACH" <<'PYTHON'
import collections, statistics, sys
sys.path.insert(0, sys.argv[2])
import results
out = results.Results()
runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    name, kind, size, packets, seconds, ns = line.split()
    size, packets, seconds, cpu = float(size), float(packets), float(seconds), float(ns) / 1e9
    amount = packets / 1e6 if kind == "60B" else size * 8 / 1e9
    runs[kind, name].append((amount / seconds, amount / cpu if cpu else 0, cpu / seconds))
units = {"tcp": "Gbit", "udp": "Gbit", "60B": "Mframes"}
print("%-5s %-6s %16s %20s %10s %18s" % ("", "switch", "per second", "per CPU-second", "CPUs used", "ratio to tenon"))
for kind in ("tcp", "udp", "60B"):
    base = None
    for name in ("tenon", "ovs", "vde", "bridge"):
        if not runs[kind, name]:
            continue
        rate, per_cpu, used = (statistics.median(x) for x in zip(*runs[kind, name]))
        base = base or per_cpu
        print("%-5s %-6s %9.3f %-6s %13.3f %-6s %10.2f %17.2fx" % (kind, name, rate, units[kind], per_cpu, units[kind], used, per_cpu / base))
    for name in ("ovs", "vde", "bridge"):
        if runs[kind, "tenon"] and runs[kind, name]:
            out.add("net", "%s tap to tap beside %s" % (kind, name), units[kind], float(sys.argv[3]), name,
                    [run[:2] for run in runs[kind, "tenon"]], [run[:2] for run in runs[kind, name]])
PYTHON
