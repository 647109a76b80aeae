#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A real multicast router beside the switch's snooping: smcroute, with Linux's own forwarding, between two VLANs. It joins groups, or a source of one; it shows itself
# by multicast router discovery (RFC 4286); it says nothing, and the user says where it is; and it ends. Each time a sender's packets come to the
# member in the other VLAN once each, and to nobody who did not ask for them.
# timeout: 600
set -u
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_groups.sh"
PATH=$PATH:/usr/sbin:/sbin
for tool in python3 smcrouted smcroutectl; do command -v $tool >/dev/null || lab_skip "$tool is not installed"; done
[ -e /proc/net/ip_mr_vif ] && [ -e /proc/net/ip6_mr_vif ] || lab_skip "this kernel does not route multicast packets"
lab_enter "$@"
groups_begin

# a and d, where the router's first leg is; b and c, where its second one is.
lab_switch lab --threads 2 --port a=tap:tapa,vlan=1 --port d=tap:tapd,vlan=1 --port r=tap:tapr,vlan=1 \
	--port q=tap:tapq,vlan=2 --port b=tap:tapb,vlan=2 --port c=tap:tapc,vlan=2 \
	--igmp igmp=on,mld=on,querier=on,response-interval=1,query-interval=4,unknown=drop
lab_host pa tapa 10.0.1.2/24 fd01::2/64
lab_host pd tapd 10.0.1.3/24 fd01::3/64
lab_host pb tapb 10.0.2.2/24 fd02::2/64
lab_host pc tapc 10.0.2.3/24 fd02::3/64
lab_host router tapr 10.0.1.1/24 fd01::1/64
ip link set tapq netns router
ip -n router address add 10.0.2.1/24 dev tapq
ip -n router address add fd02::1/64 dev tapq nodad
ip -n router link set tapq up
ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
route() { # LINE...: another smcroute, with these lines
	[ -z "${ROUTER-}" ] || { kill "$ROUTER"; wait "$ROUTER"; }
	printf '%s\n' "$@" >smcroute.conf
	# It asks for its socket and pid file by name.
	ip netns exec router smcrouted -n -N -m 4 -l info -f "$LAB/smcroute.conf" -P "$LAB/smcroute.pid" -u "$LAB/smcroute.sock" >>smcroute.log 2>&1 &
	ROUTER=$!
	LAB_PIDS+=($ROUTER)
	awaits ip netns exec router smcroutectl -u "$LAB/smcroute.sock" show interfaces >said 2>&1 || lab_fail "no smcroute: $(cat said smcroute.log)"
}
enabled=("phyint tapr enable" "phyint tapq enable")
routes=("mroute from tapr group 239.1.2.3 to tapq" "mroute from tapr group 239.1.2.4 to tapq" "mroute from tapr group ff0e::77 to tapq")
count() { lab_stat "$1" tx_frames; }
dropped() { # PORT: packets from there that nobody wants
	lab_show | python3 -c 'import json, sys
print([p for p in json.load(sys.stdin)["ports"] if p["name"] == sys.argv[1]][0]["drops"].get("no_member", 0))' "$1"
}
# A group's packets from a, by the router, to b, each once, and neither to d nor to c. Of an unknown source the kernel asks smcroute for a route and
# has room for three packets meanwhile: so the first ones are sent until one is through.
through() { # GROUP
	local group=$1 tries d c
	join pb tapb "$group" 7
	becomes "('b', 2) in [(m['port'], m['vlan']) for m in s['memberships'] if m['multicast_group'] == '$group']"
	for tries in $(seq 60); do
		groups_send pa tapa "$group" 1
		sleep 0.2
		! grep -q packet pb.out || break
	done
	grep -q packet pb.out || { lab_fail "line ${BASH_LINENO[0]}: nothing of $group came to b: $("$TENON" switch igmp lab show; cat smcroute.log)"; leave 7; return; }
	d=$(count d) c=$(count c)
	groups_send pa tapa "$group" 60
	awaits grep -q 'packet 59' pb.out || lab_fail "line ${BASH_LINENO[0]}: $group ends on its way: $(cat pb.out)"
	d=$(($(count d) - d)) c=$(($(count c) - c)) # now: queries and reports add to them with time
	for tries in $(seq 1 59); do
		[ "$(grep -cx "packet $tries" pb.out)" = 1 ] || lab_fail "line ${BASH_LINENO[0]}: packet $tries of $group came $(grep -cx "packet $tries" pb.out) times"
	done
	[ $d -lt 30 ] && [ $c -lt 30 ] || lab_fail "line ${BASH_LINENO[0]}: d got $d, c $c frames that only b asked for"
	leave 7
}
nothing() { # GROUP: the switch keeps it from the router, and says so
	local had
	had=$(dropped a)
	groups_send pa tapa "$1" 20
	kept() { [ $(($(dropped a) - had)) -ge 20 ]; }
	awaits kept || lab_fail "line ${BASH_LINENO[0]}: $1 was not dropped at a: $("$TENON" switch igmp lab show)"
}

# Neither knows of the other: the switch has seen no router.
route "${enabled[@]}" "${routes[@]}"
becomes 'len([v for v in s["snooped_vlans"] if v["state"] == "snooping"]) == 4 and not s["open_ports"]'
nothing 239.1.2.3
nothing ff0e::77

# The router joins what it is to forward, as any host does; what it does not join does not come to it.
route "${enabled[@]}" "mgroup from tapr group 239.1.2.3" "mgroup from tapr group ff0e::77" "${routes[@]}"
becomes 'at("239.1.2.3") == ["r"] and at("ff0e::77") == ["r"]'
through 239.1.2.3
through ff0e::77
nothing 239.1.2.4
# In the other VLAN its packets end at its port, when nobody there wants them any more.
becomes "at('239.1.2.3') == ['r']"
had=$(dropped q)
groups_send pa tapa 239.1.2.3 20
ended() { [ $(($(dropped q) - had)) -ge 20 ]; }
awaits ended || lab_fail "what nobody wants was not dropped where the router sends it: $("$TENON" switch counters lab)"

# It joins a source of a group, and routes it, as does the member behind it (IGMP 3, MLD 2): what another one sends to the group does not come to it; and where it
# does, since the router joined that one, too, it ends at the router's other port. Both senders' packets are alike.
sources() { # GROUP SOURCE OTHER
	local group=$1 joins=("mgroup from tapr source $2 group $1") paths=("mroute from tapr source $2 group $1 to tapq") tries had came
	# What is joined is routed by then: smcroute goes by the order of its lines.
	route "${enabled[@]}" "${paths[@]}" "${joins[@]}"
	wants() { echo "('$1', 'include', $2) in [(m['port'], m['filter_mode'], sorted(x['source_address'] for x in m['membership_sources'])) for m in s['memberships'] if m['multicast_group'] == '$group']"; }
	becomes "$(wants r "['$2']")"
	join pb tapb "$group" 7 "$2"
	becomes "$(wants b "['$2']")"
	for tries in $(seq 60); do
		groups_send pa tapa "$group" 1
		sleep 0.2
		! grep -q packet pb.out || break
	done
	groups_send pa tapa "$group" 60
	awaits grep -q 'packet 59' pb.out || lab_fail "line ${BASH_LINENO[0]}: $group of $2 ends on its way: $(cat pb.out smcroute.log; "$TENON" switch igmp lab show)"
	for tries in $(seq 1 59); do
		[ "$(grep -cx "packet $tries" pb.out)" = 1 ] || lab_fail "line ${BASH_LINENO[0]}: packet $tries of $group came $(grep -cx "packet $tries" pb.out) times"
	done
	came=$(grep -c packet pb.out)
	had=$(dropped d)
	groups_send pd tapd "$group" 20
	kept_at() { [ $(($(dropped "$1") - had)) -ge 20 ]; }
	awaits kept_at d || lab_fail "line ${BASH_LINENO[0]}: what $3 sends to $group goes to who wants $2's: $("$TENON" switch igmp lab show)"
	route "${enabled[@]}" "${paths[@]}" "mroute from tapr source $3 group $group to tapq" "${joins[@]}" "mgroup from tapr source $3 group $group"
	becomes "$(wants r "['$2', '$3']")"
	had=$(dropped q)
	groups_send pd tapd "$group" 20
	awaits kept_at q || lab_fail "line ${BASH_LINENO[0]}: what $3 sends to $group does not end at the router's other port: $("$TENON" switch igmp lab show; cat smcroute.log)"
	[ "$(grep -c packet pb.out)" = "$came" ] || lab_fail "line ${BASH_LINENO[0]}: b got what $3 sent to $group: $(cat pb.out)"
	leave 7
}
sources 239.1.2.5 10.0.1.2 10.0.1.3
sources ff0e::78 fd01::2 fd01::3

# It advertises itself (IPv4 only): it gets all groups where it does, without a word of any.
route "phyint tapr enable mrdisc" "phyint tapq enable" "${routes[@]}"
becomes '("r", "router") in [(o["port"], o["why"]) for o in s["open_ports"]]'
becomes 'at("239.1.2.3") == [] and at("ff0e::77") == []'
through 239.1.2.3
through 239.1.2.4
# When it ends it says that, too.
route "${enabled[@]}" "${routes[@]}"
becomes 'not s["open_ports"]'
nothing 239.1.2.4
# No guest's advertisement makes it a router where none may be.
ask igmp lab set r router=never
route "phyint tapr enable mrdisc" "phyint tapq enable" "${routes[@]}"
becomes 's["snooping_counters"]["guarded"] > 0 and not s["open_ports"]'
nothing 239.1.2.3

# It says nothing, and the user says where it is.
route "${enabled[@]}" "${routes[@]}"
ask igmp lab set r router=always
through 239.1.2.4
through ff0e::77
[ "$("$TENON" switch igmp lab show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["snooping_counters"]["bad"])')" = 0 ] ||
	lab_fail "messages of smcroute or Linux are called bad: $("$TENON" switch igmp lab show --json)"
lab_end || lab_fail "the switch ended with $?"
lab_done
