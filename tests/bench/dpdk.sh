#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# vhost-user to vhost-user through `tenon switch` and through Open vSwitch with DPDK: by its action NORMAL, which learns
# addresses as we do, and by one fixed output a port. One testpmd holds both ports by virtio-user and sends what it gets
# back by the other port (forward mode mac, with the peers' addresses fixed): a closed loop, in which 512 frames a way go
# round and none is lost unless a switch drops it. testpmd has core 0, the switch core 1, nobody huge pages. Runs are
# interleaved: medians of ROUNDS (3) runs of SECONDS_EACH (2).
#
# Frames that testpmd received per second, and per second of the switch's processor time. A forwarding thread of Open
# vSwitch spins when it has nothing to do, and both do for a while; so the cycles of the time-stamp counter that rounds with frames
# took are given beside, a frame: the median, which rounds in which somebody else had the processor do not change; ours from what
# the switch counts, Open vSwitch's from its histogram of rounds. What Open vSwitch itself
# counts is compared with what testpmd says that it received.
#
# A virtual machine's processors may be nearer to each other in one run than in the next, which makes more than the switches do: the
# distance is given, in cycles that a cache line takes there and back, and medians are of the runs at about
# the same. REALTIME=1 gives the threads that are measured real-time priorities while they are, where others use the machine.
#
# CASES (default "60 60,packed 508 1514 mix"): the frame's length without check sequence, or mix (7 of 60, 4 of 590,
# 1 of 1514 bytes), and whether rings are packed.
set -u
. "$(dirname "$0")/../interop/switch_lib.sh"
BENCH=$(cd "$(dirname "$0")" && pwd)
BENCH_BUILD=$(cd "$BENCH/../.." && pwd)/${BUILD:-build}/tests/bench
OVS=${OVS:-/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk}
command -v dpdk-testpmd >/dev/null || { echo "dpdk bench: dpdk-testpmd is not installed"; exit 0; }
[ "$(nproc)" -ge 2 ] || { echo "dpdk bench: two processors are needed"; exit 0; }
lab_enter "$@"
ROUNDS=${ROUNDS:-3} SECONDS_EACH=${SECONDS_EACH:-2}
CASES=${CASES:-60 60,packed 508 1514 mix}
MACS=(02:00:00:00:00:0a 02:00:00:00:00:0b)

cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f\n", s }'; }
until_there() { for _ in $(seq 200); do listens "$1" && return; sleep 0.1; done; return 1; }

# The thread of that name, which spins, gets a priority below that of the others of its process, and those below ours; and all loses it.
hurry() { # PID NAME
	local task priority
	[ -n "${REALTIME:-}" ] || return 0
	chrt -f -p 7 $BASHPID
	for task in /proc/"$1"/task/*; do
		priority=6
		! grep -qE "$2" "$task/comm" || priority=5
		chrt -f -p $priority "${task##*/}"
	done
}
slow_down() { # PID...
	local pid
	[ -n "${REALTIME:-}" ] || return 0
	for pid; do chrt -a -o -p 0 "$pid"; done
	chrt -o -p 0 $BASHPID
}

start_tenon() {
	lab_switch bench --port a=vhost-user --port b=vhost-user
	SWITCH=$LAB_PID SOCKETS=$LAB
	taskset -apc 1 $SWITCH >/dev/null
}
stop_tenon() { lab_end; }

ovs_vsctl() { timeout 20 ovs-vsctl --db=unix:"$LAB/ovs/db.sock" "$@"; }
start_ovs() { # FLOWS
	[ -x $OVS ] || return 1
	export OVS_RUNDIR=$LAB/ovs OVS_LOGDIR=$LAB/ovs OVS_DBDIR=$LAB/ovs OVS_SYSCONFDIR=$LAB/ovs
	rm -rf "$LAB/ovs"
	mkdir -p "$LAB/ovs"
	ovsdb-tool create "$LAB/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema || return 1
	ovsdb-server "$LAB/ovs/conf.db" --remote=punix:"$LAB/ovs/db.sock" --log-file="$LAB/ovs/db.log" >/dev/null 2>&1 &
	OVSDB=$!
	LAB_PIDS+=($OVSDB)
	until_there "$LAB/ovs/db.sock" || return 1
	ovs_vsctl --no-wait -- init -- set Open_vSwitch . other_config:dpdk-init=true other_config:dpdk-lcore-mask=0x1 \
		other_config:pmd-perf-metrics=true other_config:pmd-cpu-mask=0x2 "other_config:dpdk-extra=\"--no-huge --legacy-mem --no-pci --file-prefix=tenon$$ -m 3072\""
	$OVS unix:"$LAB/ovs/db.sock" --pidfile --log-file="$LAB/ovs/vs.log" >/dev/null 2>&1 &
	SWITCH=$! SOCKETS=$LAB/ovs
	LAB_PIDS+=($SWITCH)
	ovs_vsctl -- add-br br0 -- set bridge br0 datapath_type=netdev \
		-- add-port br0 a.sock -- set interface a.sock type=dpdkvhostuser ofport_request=1 \
		-- add-port br0 b.sock -- set interface b.sock type=dpdkvhostuser ofport_request=2 || return 1
	until_there "$SOCKETS/b.sock" || return 1
	ovs-ofctl del-flows br0
	for flow in "$@"; do ovs-ofctl add-flow br0 "$flow"; done
}
stop_ovs() { kill $SWITCH $OVSDB; wait $SWITCH $OVSDB; ip link del br0; }
start_normal() { start_ovs actions=NORMAL; }
start_output() { start_ovs in_port=1,actions=output:2 in_port=2,actions=output:1; }
stop_normal() { stop_ovs; }
stop_output() { stop_ovs; }

ovs_ctl() { ovs-appctl -t "$LAB"/ovs/ovs-vswitchd*.ctl "$@"; }
# How many packets Open vSwitch has had since the last time it was asked.
counted() { ovs_ctl dpif-netdev/pmd-stats-show -pmd 1 | awk '/packets received/ { print $NF; exit }'; }

# What a frame costs in half of the rounds that have some, in cycles of the time-stamp counter. Of Open vSwitch's rounds those without
# packets are the shortest.
TSC_GHZ=$(awk '/MHz/ { print $4 / 1000; exit }' /proc/cpuinfo)
tenon_cost() { lab_show | python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["frame_cost"]["below"], sys.stdout)'; }
tenon_cycles() { # BEFORE
	tenon_cost | python3 -c 'import json, sys
before = {each["frame_ns"]: each["frames"] for each in json.loads(sys.argv[1])}
rounds = [(each["frame_ns"], each["frames"] - before.get(each["frame_ns"], 0)) for each in json.load(sys.stdin)]
left = sum(frames for _, frames in rounds) / 2
for bound, frames in rounds:
    left -= frames
    if left <= 0 and frames:
        lower = bound / 1.1 # eight to a doubling
        print((bound + (bound - lower) * left / frames) * float(sys.argv[2]))
        break' "$1" "$TSC_GHZ"
}
ovs_cycles() {
	ovs_ctl dpif-netdev/pmd-perf-show -pmd 1 | python3 -c 'import re, sys
text = sys.stdin.read()
idle, busy, packets = (int(re.search(what + r" *(\d+)", text).group(1)) for what in ("idle iterations:", "busy iterations:", "Rx packets:"))
rows = [line.split()[:2] for line in text.split("cycles/it", 1)[1].splitlines()[1:] if re.match(r" *\d+ +\d+ +\d", line)]
left, last = idle + busy / 2, 0
for bound, rounds in ((float(a), int(b)) for a, b in rows):
    left -= rounds
    if left <= 0:
        print((bound + (bound - last) * left / rounds) / (packets / busy))
        break
    last = bound'
}

distance() { ${REALTIME:+chrt -f 5} "$BENCH_BUILD/distance_bench"; }

# One measurement: packets, seconds, processor nanoseconds, cycles, packets that the switch has sent.
measure() { # CASE
	local size=${1%,*} ring= from to before after cost spent
	[ "$1" = "$size" ] || ring=,packed_vq=1
	mkfifo pmd.in
	taskset -c 0,1 dpdk-testpmd --no-huge -m 256 --no-pci -l 0,1 --main-lcore=1 --file-prefix=tenon-pmd$$ \
		--vdev=virtio_user0,path="$SOCKETS/a.sock",queue_size=1024,mac=${MACS[0]}$ring \
		--vdev=virtio_user1,path="$SOCKETS/b.sock",queue_size=1024,mac=${MACS[1]}$ring \
		-- -i --no-mlockall --total-num-mbufs=16384 --txd=1024 --rxd=1024 --nb-cores=1 --forward-mode=mac \
		--eth-peer=0,${MACS[1]} --eth-peer=1,${MACS[0]} <pmd.in >pmd.out 2>&1 &
	PMD=$!
	LAB_PIDS+=($PMD)
	exec 5>pmd.in
	rm pmd.in
	for _ in $(seq 200); do grep -qs 'testpmd>' pmd.out && break; sleep 0.1; done
	case $size in
	mix) echo "set txpkts 60
start tx_first 9
stop
set txpkts 590
start tx_first 5
stop
set txpkts 1514
start tx_first 2" >&5 ;;
	*) echo "set txpkts $size
start tx_first 16" >&5 ;;
	esac
	sleep 1
	hurry $SWITCH '^tenon-switch$|^pmd-'
	hurry $PMD worker
	sleep 0.2
	[ "$SOCKETS" != "$LAB" ] || cost=$(tenon_cost)
	[ "$SOCKETS" = "$LAB" ] || ovs_ctl dpif-netdev/pmd-stats-clear
	echo "clear port stats all" >&5
	before=$(cpu $SWITCH) from=$(date +%s.%N)
	sleep "$SECONDS_EACH"
	echo "show port stats all" >&5
	after=$(cpu $SWITCH) to=$(date +%s.%N)
	if [ "$SOCKETS" = "$LAB" ]; then spent="$(tenon_cycles "$cost") 0"; else spent="$(ovs_cycles) $(counted)"; fi
	slow_down $SWITCH $PMD
	echo stop >&5; echo quit >&5
	exec 5>&-
	wait $PMD
	awk -v "time=$to $from" -v "cpu=$after $before" -v spent="$spent" '/RX-packets:/ { sum += $2 }
		END { split(time, t); split(cpu, c); printf "%.0f %.3f %.0f %s\n", sum, t[1] - t[2], c[1] - c[2], spent }' \
		<(sed '0,/clear port stats all/d; /Telling cores to stop/,$d' pmd.out) # what it says at its end counts from its start
}

echo "vhost-user to vhost-user, $ROUNDS rounds of $SECONDS_EACH s each, interleaved; raw figures (packets s ns-of-CPU cycles packets-by-Open-vSwitch distance):" >&2
for _ in $(seq "$ROUNDS"); do for switch in tenon normal output; do
	start_$switch || { echo "$switch cannot be started here" >&2; continue; }
	for case in $CASES; do echo "$switch $case $(measure "$case") $(distance)" | tee -a "$LAB/results" >&2; done
	stop_$switch >/dev/null 2>&1
done; done
python3 - "$LAB/results" "$BENCH" "$SECONDS_EACH" <<'PYTHON'
import collections, statistics, sys
sys.path.insert(0, sys.argv[2])
import results
out = results.Results()
NEAR = 400  # cycles: on one core, or on two that share their caches
runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    name, case, packets, seconds, ns, cycles, counted, distance = line.split()
    if float(counted) and abs(float(counted) - float(packets)) > 0.1 * float(packets):
        print("%s %s: testpmd says that it received %s packets, the switch that it had %s" % (name, case, packets, counted))
    packets, cpu = float(packets) / 1e6, float(ns) / 1e9
    where = "near" if float(distance) < NEAR else "far"
    runs[case + " " + where, name].append((packets / float(seconds), packets / cpu if cpu else 0, float(cycles)))
print("%-16s %-8s %8s %16s %8s %18s %8s" % ("", "switch", "Mpps", "M a CPU-second", "ratio", "cycles a packet", "ratio"))
for case, name in runs:
    rate, per_cpu, cycles = (statistics.median(x) for x in zip(*runs[case, name]))
    _, ours, our_cycles = (statistics.median(x) for x in zip(*runs[case, "tenon"])) if (case, "tenon") in runs else (0, 0, 0)
    print("%-16s %-8s %8.2f %16.2f %7.2fx %18.0f %7.2fx" % (case, name, rate, per_cpu, ours / per_cpu if per_cpu else 0, cycles,
                                                            cycles / our_cycles if our_cycles else 0))
    if name != "tenon" and ours:
        out.add("dpdk", "%s beside %s" % (case, name), "Mframes", float(sys.argv[3]), "ovs-" + name,
                [run[:2] for run in runs[case, "tenon"]], [run[:2] for run in runs[case, name]])
        out.figures("dpdk", "%s %s" % (case, name), {"cycles a packet": cycles, "ours": our_cycles})
PYTHON
