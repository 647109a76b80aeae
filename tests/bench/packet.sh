#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# veth to veth through ports of type `packet`: what the switch moves per second of its processor time with a ring of received frames, and
# where the kernel gives none and they are read (recvmmsg). Runs are in turn; medians of ROUNDS (3) runs of SECONDS_EACH (1).
#
#	60, 1514	frames of that many bytes from an AF_PACKET socket, as fast as it goes; delivered
#	tcp, udp	iperf3, one connection with offloads; 1448 bytes, as fast as it goes; delivered
#
# CASES: some of these.
set -u
BENCH=$(cd "$(dirname "$0")" && pwd)
BLAST=$BENCH/../../${BUILD:-build}/tests/bench/net_blast
. "$BENCH/../interop/switch_lib.sh"
for tool in iperf3 ip; do command -v $tool >/dev/null || { echo "packet bench: $tool is not installed"; exit 0; }; done
lab_enter "$@"
ROUNDS=${ROUNDS:-3} SECONDS_EACH=${SECONDS_EACH:-1}
PROGRAM=$TENON
export PROGRAM

cpu() { awk '{ s += $1 } END { printf "%.0f\n", s }' /proc/"$LAB_PID"/task/*/schedstat; }
delivered() { ip netns exec b awk '$1 ~ /^b1:/ { print $2, $3 }' /proc/net/dev; } # bytes, packets

run() { # WAY KIND
	local before after from to end
	for end in a b; do ip link add ${end}0 up type veth peer name ${end}1; done
	lab_host a a1 10.0.0.1/24
	lab_host b b1 10.0.0.2/24
	[ "$1" = ring ] || local TENON=$BENCH/../interop/no_packet_ring.py
	lab_switch lab --port a=packet:a0 --port b=packet:b0
	TENON=$PROGRAM
	lab_reach a 10.0.0.2
	case $2 in tcp|udp) ip netns exec b iperf3 -s -1 >/dev/null 2>&1 & sleep 0.7 ;; esac
	before=$(delivered) from=$(cpu)
	case $2 in
	tcp) timeout 30 ip netns exec a iperf3 -c 10.0.0.2 -t "$SECONDS_EACH" >/dev/null ;;
	udp) timeout 30 ip netns exec a iperf3 -c 10.0.0.2 -t "$SECONDS_EACH" -u -b 0 -l 1448 >/dev/null ;;
	*) ip netns exec a "$BLAST" a1 "$(ip -n b link show b1 | awk '/link\/ether/ { print $2 }')" "$2" "$SECONDS_EACH" >/dev/null ;;
	esac
	sleep 0.2
	to=$(cpu) after=$(delivered)
	echo "$1 $2 $before $after $from $to" | awk '{ printf "%s %s %.0f %.0f %.0f\n", $1, $2, $5 - $3, $6 - $4, $8 - $7 }' | tee -a results >&2
	lab_end
	for end in a b; do ip link del ${end}0; ip netns del $end; done
}

echo "veth to veth, $ROUNDS rounds of $SECONDS_EACH s each, in turn; raw figures (bytes packets ns-of-CPU):" >&2
for kind in ${CASES:-60 1514 tcp udp}; do for _ in $(seq "$ROUNDS"); do for way in ring read; do run $way "$kind"; done; done; done
python3 - results "$BENCH" "$SECONDS_EACH" <<'PYTHON'
import collections, statistics, sys
sys.path.insert(0, sys.argv[2])
import results
out = results.Results()
runs = collections.defaultdict(list)
for line in open(sys.argv[1]):
    way, kind, size, packets, ns = line.split()
    amount = float(size) * 8 / 1e9 if kind == "tcp" else float(packets) / 1e6
    runs[kind, way].append((amount / float(sys.argv[3]), amount / (float(ns) / 1e9)))
for kind in dict.fromkeys(kind for kind, _ in runs):
    unit = "Gbit" if kind == "tcp" else "Mframes"
    ring, read = (statistics.median(run[1] for run in runs[kind, way]) for way in ("ring", "read"))
    print("%-5s %8.3f %s per CPU-second by the ring, %8.3f read: %.2fx" % (kind, ring, unit, read, ring / read))
    out.add("packet", "%s veth to veth, ring beside none" % kind, unit, float(sys.argv[3]), "read", runs[kind, "ring"], runs[kind, "read"])
PYTHON
