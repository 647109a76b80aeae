#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Hosts that want some sources of a group (IGMP 3, MLD 2: MCAST_JOIN_SOURCE_GROUP, MCAST_BLOCK_SOURCE, ...) at the switch and, with the same
# calls, at Linux's bridge as it snoops by version 3 and 2. What both let through to each host, counted at its interfaces from three sources, must be what the
# host wants, and what they know of members the same. Behind the third port are two hosts, at a hub.
# timeout: 600
set -u
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_groups.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
command -v bridge >/dev/null || { echo "iproute2 has no bridge"; exit 77; }
lab_enter "$@"
ip link add probe type bridge mcast_igmp_version 3 2>said || lab_skip "the kernel has no bridge that snoops by version 3: $(cat said)"
ip link delete probe
groups_begin # ask, becomes, awaits

cat >host.py <<'PYTHON'
# host.py INTERFACE INTERFACE: a host. Lines "CALL GROUP [SOURCE]" are carried out at both interfaces; "count" prints how many frames of each source came
# to each interface since, by packet sockets: what comes to a host, not what it takes.
import collections, ipaddress, socket, struct, sys, threading
CALLS = {"join": 42, "block": 43, "unblock": 44, "leave": 45, "join_source": 46, "leave_source": 47}
GROUPS = [ipaddress.ip_address("239.1.2.3"), ipaddress.ip_address("ff0e::77")]
counts = collections.Counter()
def place(address):
    if ":" in address:
        return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0).ljust(128, b"\0")
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address)).ljust(128, b"\0")
def listen(interface, number):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind((interface, 0))
    while True:
        frame, (_, _, kind, _, _) = s.recvfrom(2048)
        if kind == socket.PACKET_OUTGOING:
            continue
        six = frame[12:14] == b"\x86\xdd"
        source, group = (frame[22:38], frame[38:54]) if six else (frame[26:30], frame[30:34])
        if ipaddress.ip_address(group) in GROUPS:
            counts[number, str(ipaddress.ip_address(source))] += 1
sockets = {group: [socket.socket(socket.AF_INET6 if group.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)] for group in GROUPS}
for number in range(2):
    threading.Thread(target=listen, args=(sys.argv[1 + number], number), daemon=True).start()
for line in sys.stdin:
    words = line.split()
    if words[0] == "count":
        print(" ".join(f"{number}:{source}={count}" for (number, source), count in sorted(counts.items())), flush=True)
        counts.clear()
        continue
    group = ipaddress.ip_address(words[1])
    for number in range(2):
        request = struct.pack("=II", socket.if_nametoindex(sys.argv[1 + number]), 0) + place(words[1])
        if len(words) > 2:
            request += place(words[2])
        sockets[group][number].setsockopt(41 if group.version == 6 else 0, CALLS[words[0]], request)
    print("done", flush=True)
PYTHON
cat >send.py <<'PYTHON'
# send.py GROUP: from each source by each interface ten packets.
import socket, struct, sys
group = sys.argv[1]
six = ":" in group
for interface in ("tapa", "veta"):
    index = socket.if_nametoindex(interface)
    for i in range(1, 4):
        s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        if six:
            s.setsockopt(41, socket.IPV6_MULTICAST_IF, index)
            s.setsockopt(41, socket.IPV6_MULTICAST_HOPS, 8)
            s.setsockopt(41, 15, 1) # IPV6_FREEBIND has another number; see below
        else:
            s.setsockopt(0, socket.IP_MULTICAST_IF, struct.pack("4s4si", b"\0" * 4, b"\0" * 4, index))
            s.setsockopt(0, socket.IP_MULTICAST_TTL, 8)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        s.bind(("fd00::%d" % i if six else "10.0.0.%d" % i, 0))
        for _ in range(10):
            s.sendto(b"packet", (group, 5001))
PYTHON
sed -i '/IPV6_FREEBIND/d' send.py
cat >same.py <<'PYTHON'
# same.py GROUP: whether the switch and the bridge know the same members: port letter, mode, sources that are wanted or blocked.
import json, sys
group = sys.argv[1]
def switch():
    for member in json.load(open("shown"))["memberships"]:
        if member["multicast_group"] == group:
            yield (member["port"], member["filter_mode"], tuple(sorted((s["source_address"], s["source_blocked"]) for s in member["membership_sources"])))
def bridge():
    for entry in json.load(open("mdb"))[0]["mdb"]:
        if entry["grp"] == group and "src" not in entry and entry["port"] != "br0":
            yield (entry["port"][-1], entry["filter_mode"],
                tuple(sorted((s["address"], float(s["timer"]) == 0) for s in entry.get("source_list", []))))
a, b = sorted(switch()), sorted(bridge())
print("switch", a, "bridge", b)
sys.exit(a != b)
PYTHON

lab_switch lab --threads 2 --port a=tap:tapa --port b=tap:tapb --port c=tap:tapc \
	--igmp igmp=on,mld=on,querier=on,response-interval=1,query-interval=4,unknown=drop
ip netns add middle
ip -n middle link add br0 type bridge forward_delay 0 mcast_snooping 1 mcast_querier 1 mcast_igmp_version 3 mcast_mld_version 2 \
	mcast_query_interval 400 mcast_query_response_interval 100 mcast_membership_interval 900 mcast_last_member_interval 100 \
	mcast_last_member_count 2 mcast_startup_query_interval 100
ip -n middle link set br0 up
veth() { # NAMESPACE INTERFACE NAMESPACE INTERFACE: a cable
	ip link add "$2" type veth peer name "$4"
	ip link set "$2" netns "$1"
	ip link set "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}
addresses() { # HOST NUMBER...
	local host=$1 interface number
	for interface in tap${host#p} vet${host#p}; do
		for number in "${@:2}"; do
			ip -n "$host" address add "10.0.0.$number/24" dev "$interface"
			ip -n "$host" address add "fd00::$number/64" dev "$interface" nodad
		done
	done
}
for host in a b; do
	lab_host p$host tap$host
	veth p$host vet$host middle port$host
done
# The hub: what comes in goes out at all others. Two of them, one on each side.
ip netns add hub
for side in tap vet; do
	ip -n hub link add hub$side type bridge forward_delay 0 mcast_snooping 0
	ip -n hub link set hub$side up
done
ip link set tapc netns hub
ip -n hub link set tapc master hubtap up
veth hub vetc middle portc
ip -n hub link set vetc master hubvet
for host in d e; do
	ip netns add p$host
	ip -n p$host link set lo up
	for side in tap vet; do
		veth p$host $side$host hub $side$host.
		ip -n hub link set $side$host. master hub$side
	done
done
for port in a b c; do ip -n middle link set port$port master br0; done
addresses pa 1 2 3
addresses pb 11
addresses pd 13
addresses pe 14
# Hosts are born with version 3 and 2.
for host in b d e; do
	mkfifo p$host.in
	mkfifo p$host.out
	ip netns exec p$host python3 host.py tap$host vet$host <p$host.in >p$host.out 2>p$host.err &
	LAB_PIDS+=($!)
done
exec 5>pb.in 8<pb.out 6>pd.in 9<pd.out
exec 7>pe.in 10<pe.out
declare -A fd=([pb]=5 [pd]=6 [pe]=7)
tell() { # HOST WORD...: and its answer
	local host=$1
	shift
	echo "$*" >&"${fd[$host]}"
	# A line is there with its end, or not at all.
	IFS= read -r -t 60 answer <&"$((fd[$host] + 3))" && return
	lab_fail "line ${BASH_LINENO[0]}: $host does not do '$*': $(cat "$host.err")"
	lab_done
}
becomes 'vlan("ipv4")["state"] == "snooping" and vlan("ipv6")["state"] == "snooping" and not s["open_ports"]'

# `expect GROUP B C`: the sources (digits, "-": none) of which all frames come to b's port, and to the hub's; by both, and no others.
# What is asked for still is waited for.
source_of() { case $1 in *:*) echo "fd00::$2" ;; *) echo "10.0.0.$2" ;; esac; }
counted() { # GROUP SOURCES
	local text='' side digit
	for side in 0 1; do
		for digit in 1 2 3; do
			case $2 in *$digit*) text="$text $side:$(source_of "$1" $digit)=10" ;; esac
		done
	done
	echo "${text# }"
}
expect() {
	local group=$1 b c
	b=$(counted "$group" "$2") c=$(counted "$group" "$3")
	for _ in $(seq 100); do
		tell pb count
		tell pd count
		tell pe count
		ip netns exec pa python3 send.py "$group" || lab_fail "a cannot send"
		sleep 0.3
		tell pb count; gotb=$answer
		tell pd count; gotd=$answer
		tell pe count; gote=$answer
		[ "$gotb" != "$b" ] || [ "$gotd" != "$c" ] || [ "$gote" != "$c" ] || break
	done
	[ "$gotb" = "$b" ] || lab_fail "line ${BASH_LINENO[0]}: b got '$gotb', expected '$b'"
	[ "$gotd" = "$c" ] || lab_fail "line ${BASH_LINENO[0]}: d got '$gotd', expected '$c'"
	[ "$gote" = "$c" ] || lab_fail "line ${BASH_LINENO[0]}: e got '$gote', expected '$c'"
	for _ in $(seq 100); do
		"$TENON" switch igmp lab show --json >shown
		ip netns exec middle bridge -d -s -j mdb show >mdb
		python3 same.py "$group" >said 2>&1 && return
		sleep 0.1
	done
	lab_fail "line ${BASH_LINENO[0]}: $(cat said)"
}

for group in 239.1.2.3 ff0e::77; do
	s() { source_of $group "$1"; }
	tell pb join_source $group "$(s 1)"
	expect $group 1 -
	tell pb join_source $group "$(s 2)"
	tell pd join_source $group "$(s 2)"
	expect $group 12 2
	tell pe join_source $group "$(s 2)"
	tell pe join_source $group "$(s 3)"
	expect $group 12 23
	# One of the hub's hosts leaves a source that the other wants: it goes on, past the time that was given for answers; then nobody wants it.
	tell pd leave_source $group "$(s 2)"
	sleep 3
	expect $group 12 23
	tell pe leave_source $group "$(s 2)"
	expect $group 12 3
	tell pb leave_source $group "$(s 1)"
	expect $group 2 3
	tell pb leave_source $group "$(s 2)"
	tell pe leave_source $group "$(s 3)"
	expect $group - -
	# All but some.
	tell pb join $group
	tell pb block $group "$(s 1)"
	expect $group 23 -
	tell pd join $group
	tell pd block $group "$(s 2)"
	tell pe join_source $group "$(s 2)"
	expect $group 23 123
	tell pe leave_source $group "$(s 2)"
	expect $group 23 13
	tell pb unblock $group "$(s 1)"
	tell pb block $group "$(s 3)"
	expect $group 12 13
	tell pd leave $group
	tell pb leave $group
	expect $group - -
done
"$TENON" switch igmp lab show >said || lab_fail "$(cat said)"
lab_end || lab_fail "the switch ended with $?"
lab_done
