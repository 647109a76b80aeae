#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A ring of bridges and chords: two of ours, Linux's with the protocol of 1998, and in the long form Open vSwitch's with RSTP. A station at each sends
# broadcasts all the time, and none may go round while cables are cut and mended, the root moves and ends; each time all hear all again. One that is on its
# way when a port begins to forward may come by the old way and by the new one, as rapid transitions have it; in a loop it would come a thousand times.
ring=$(cd "$(dirname "$0")" && pwd)/switch_ring.py
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_ovs.sh"
lab_enter "$@"
with_ovs=${TORTURE:-}
[ -z "$with_ovs" ] || command -v ovs-vswitchd >/dev/null || lab_skip "openvswitch-switch is not installed"
ip link add br0 type bridge stp_state 1 forward_delay 200 hello_time 100 max_age 600 priority 32768 2>/dev/null || lab_skip "there is no bridge in this kernel"
pair() { # ONE OTHER
	ip link add "$1" type veth peer name "$2"
	ip link set "$1" up
	ip link set "$2" up
}
# one's and two's cables: to Linux (l), to Open vSwitch or without it to each other (o), to each other (c), to a station (h).
stations="1 2 l"
pair 1l l1; pair 2l l2; pair 1c 2c
if [ -n "$with_ovs" ]; then
	pair 1o o1; pair 2o o2
	stations="$stations o"
else
	pair 1o 2o
fi
for name in $stations; do pair "h$name" "${name}h"; done
for name in l1 l2 lh; do ip link set $name master br0; done
ip link set br0 up
begin_ovs() {
	ovs_start
	vsctl add-br vs -- set bridge vs datapath_type=netdev rstp_enable=true other_config:rstp-forward-delay=4 other_config:rstp-max-age=6 ||
		{ lab_fail "Open vSwitch does not start"; lab_done; }
	for name in o1 o2 oh; do vsctl add-port vs $name; done
}
[ -z "$with_ovs" ] || begin_ovs
one() { # PRIORITY
	lab_switch one --stp rstp,priority="$1",hello=1,max-age=6,forward-delay=4 --port l=packet:1l --port o=packet:1o --port c=packet:1c --port h=packet:1h
	one=$LAB_PID
}
one 4096
lab_switch two --stp rstp,priority=8192,hello=1,max-age=6,forward-delay=4 --port l=packet:2l --port o=packet:2o --port c=packet:2c --port h=packet:2h
hosts=$(printf ' h%s' $stations)
lab_background python3 "$ring" $hosts >heard
# WHAT: waits until all hear all again, and says how long that took. Open vSwitch 3.1 goes on with flows that it made while a port did not forward ("actions:drop"
# from a root port that has been forwarding for minutes, in four of five runs): what is not whole after half a minute is with its flows purged.
whole() {
	local before=$SECONDS
	for try in $(seq 900); do
		[ $try = 300 ] && [ -n "$with_ovs" ] && { echo "# $1: Open vSwitch's flows are purged"; ovs_ask revalidator/purge; }
		[[ "$(tail -n 1 heard 2>/dev/null)" =~ ^[0-9]+\ [0-4]$hosts$ ]] && { echo "# $1: whole after $((SECONDS - before)) s, $(tail -n 1 heard | cut -d " " -f 1) came again"; return; }
		sleep 0.1
	done
	lab_fail "$1: $(tail -n 3 heard)"
	"$TENON" switch stp one show
	"$TENON" switch stp two show
	[ -z "$with_ovs" ] || ovs_ask rstp/show vs
	[ -z "$with_ovs" ] || ovs_ask dpctl/dump-flows
	bridge link show
	lab_done
}
# After a change the last second's line may still be from before it.
changed() { sleep 2.5; whole "$1"; }
whole "at first"
ip link set 1c down; changed "the chord is cut"
ip link set 1o down; changed "and another one"
ip link set 1o up; ip link set 1c up; changed "both are back"
ip link set l2 down; changed "the cable of Linux's second port is cut"
ip link set l1 down; ip link set l2 up; changed "and then the other one in its place"
ip link set l1 up; changed "it is back"
"$TENON" switch stp two set priority=0 || lab_fail "priority"
changed "the other one is the root"
if [ -n "$with_ovs" ]; then
	vsctl set bridge vs other_config:rstp-priority=0
	"$TENON" switch stp two set priority=61440 || lab_fail "priority"
	changed "Open vSwitch is"
	vsctl set bridge vs other_config:rstp-priority=61440
fi
ip link set br0 type bridge priority 0
"$TENON" switch stp two set priority=61440 || lab_fail "priority"
changed "Linux is"
# A cable that loses what goes one way: each end believes that it is the other's better.
"$TENON" link set one c --direction out --loss 100%
sleep 8
"$TENON" link clear one c
changed "a cable carried one way only for eight seconds"
kill -9 $one
wait $one 2>/dev/null
sleep 2
one 0
changed "one was killed, and another is in its place"
lab_done
