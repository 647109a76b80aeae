#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# IGMP and MLD snooping with Linux's own hosts, of each version, and Linux's bridge as another querier: who gets a group's packets,
# who does not, and when that ends. A switch of two threads.
set -u
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_groups.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
lab_enter "$@"

groups_begin
sends() { groups_send pa tapa "$@"; }

lab_switch lab --threads 2 --port a=tap:tapa --port b=tap:tapb --port c=tap:tapc --port d=tap:tapd \
	--igmp igmp=on,mld=on,querier=on,response-interval=1,query-interval=4
lab_host pa tapa 10.0.0.1/24 fe80::a/64
lab_host pb tapb 10.0.0.2/24 fe80::b/64
lab_host pc tapc 10.0.0.3/24 fe80::c/64
becomes 'vlan("ipv4")["state"] == "snooping" and vlan("ipv6")["state"] == "snooping"'
# Those that came last have all groups until they had time to answer.
becomes 'not s["open_ports"]'

# A host of IGMP 3 and of MLD 2; what is sent comes there, and not to its neighbour.
join pb tapb 239.1.2.3 7
becomes 'at("239.1.2.3") == ["b"] and version("239.1.2.3") == [3]'
before=$(lab_stat c tx_frames)
sends 239.1.2.3 60
for _ in $(seq 600); do grep -q 'packet 59' pb.out && break; sleep 0.1; done
[ "$(grep -c packet pb.out)" = 60 ] || lab_fail "b got of 60 packets: $(cat pb.out)"
[ $(($(lab_stat c tx_frames) - before)) -lt 40 ] || lab_fail "c got $(($(lab_stat c tx_frames) - before)) frames that b asked for"
# What nobody asked for goes to all, until the user says so.
sends 239.9.9.9 60
flooded() { [ $(($(lab_stat c tx_frames) - before)) -ge 60 ]; }
awaits flooded || lab_fail "c did not get what is not known"
ask igmp lab set unknown=drop
before=$(lab_stat c tx_frames)
sends 239.9.9.9 60
dropped() {
	[ "$(lab_show | python3 -c 'import json, sys
print([p for p in json.load(sys.stdin)["ports"] if p["name"] == "a"][0]["drops"].get("no_member", 0))')" -ge 60 ]
}
awaits dropped || lab_fail "what nobody wants is not counted"
[ $(($(lab_stat c tx_frames) - before)) -lt 40 ] || lab_fail "c got what is not known"
# Neighbour discovery goes by groups, too.
timeout 60 ip netns exec pa busybox ping -c 1 -W 30 fe80::b%tapa >ping 2>&1 || lab_fail "no neighbour: $(cat ping)"

# What changes meanwhile is told, in words and in JSON; what was there as it began, too.
timeout 1800 "$TENON" switch igmp lab --watch >watched 2>&1 &
watcher=$!
timeout 1800 "$TENON" switch igmp lab show --watch --json >watched.json 2>&1 &
json_watcher=$!
LAB_PIDS+=($watcher $json_watcher)
tells() { awaits grep -q "$1" watched || lab_fail "line ${BASH_LINENO[0]}: not told: $1: $(cat watched)"; }
tells '^known    member     vlan 0  239.1.2.3  port b  all$'
tells '^known    querier    vlan 0  ipv6  fe80::.*  port none  snooping$'
awaits grep -q '{"change":"known","snooped_vlan":null,"open_port":null,"membership":{"vlan":0,"multicast_group":"239.1.2.3","port":"b",' watched.json ||
	lab_fail "not told: $(cat watched.json)"

# It leaves: the switch asks twice, a second apart, and Linux does not answer; see below.
leave 7

# The older versions.
for version in 1 2; do
	ip netns exec pb sh -c "echo $version >/proc/sys/net/ipv4/conf/tapb/force_igmp_version"
	join pb tapb 239.1.2.$version 7
	becomes "at('239.1.2.$version') == ['b'] and version('239.1.2.$version') == [$version]"
	leave 7
done
ip netns exec pb sh -c 'echo 0 >/proc/sys/net/ipv4/conf/tapb/force_igmp_version; echo 1 >/proc/sys/net/ipv6/conf/tapb/force_mld_version'
join pb tapb ff0e::77 7
becomes 'at("ff0e::77") == ["b"] and version("ff0e::77") == [1]'
before=$(lab_stat c tx_frames)
sends ff0e::77 60
for _ in $(seq 600); do grep -q 'packet 59' pb.out && break; sleep 0.1; done
[ "$(grep -c packet pb.out)" = 60 ] || lab_fail "b got of 60 packets by IPv6: $(cat pb.out)"
[ $(($(lab_stat c tx_frames) - before)) -lt 40 ] || lab_fail "c got what b asked for by MLD"
tells '^came     member     vlan 0  ff0e::77  port b  all$' # who looks each second need not see what is gone at once
leave 7
becomes 'at("ff0e::77") == []'
becomes 'at("239.1.2.3") == [] and at("239.1.2.2") == []' # not that of IGMP 1, which leaves without a word
tells '^gone     member     vlan 0  239.1.2.3  port b  all$'
[ "$("$TENON" switch igmp lab show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["snooping_counters"]["bad"])')" = 0 ] ||
	lab_fail "Linux's messages are called bad: $("$TENON" switch igmp lab show --json)"

# Another querier: Linux's bridge, in a host of its own, whose address wins over ours, which is none.
ip netns add pd
ip link set tapd netns pd
if ip -n pd link add br0 type bridge forward_delay 0 mcast_snooping 1 mcast_querier 1 mcast_query_use_ifaddr 1 mcast_startup_query_interval 100 mcast_query_interval 200 2>said; then
	ip -n pd link set tapd master br0
	ip -n pd address add 10.0.0.4/24 dev br0
	ip -n pd link set tapd up
	ip -n pd link set br0 up
	becomes 'vlan("ipv4")["querier_address"] == "10.0.0.4" and vlan("ipv4")["querier_port"] == "d"'
	becomes '[o for o in s["open_ports"] if o["port"] == "d" and o["why"] == "router"]'
	tells '^changed  querier    vlan 0  ipv4  10.0.0.4  port d  '
	tells '^came     open port  vlan 0  ipv4  port d  router$'
	# Reports go there: the bridge knows of members behind the switch, by its own snooping.
	join pb tapb 239.1.2.3 7
	for _ in $(seq 600); do
		ip netns exec pd bridge mdb show 2>/dev/null | grep -q 'tapd grp 239.1.2.3' && break
		sleep 0.1
	done
	ip netns exec pd bridge mdb show | grep -q 'tapd grp 239.1.2.3' || lab_fail "Linux's bridge has not heard of b: $(ip netns exec pd bridge mdb show)"
	# And where no router may be, none is.
	ask igmp lab set d router=never
	becomes 'not [o for o in s["open_ports"] if o["port"] == "d" and o["why"] == "router"]'
	becomes 's["snooping_counters"]["guarded"] > 0'
	exec 7>&-
else
	echo "the kernel has no bridge: $(cat said)"
fi
"$TENON" switch counters lab --prometheus | grep -q '^tenon_switch_group_events_total{switch="lab",family="ipv4",event="sent"} [1-9]' ||
	lab_fail "no metrics: $("$TENON" switch counters lab --prometheus | grep group)"

# What cannot be.
refused() { # TEXT ARGUMENT...
	local text=$1
	shift
	"$TENON" switch "$@" >said 2>&1 && lab_fail "switch $* was done"
	grep -qF -- "$text" said || lab_fail "switch $*: expected '$text': $(cat said)"
}
kill "$watcher" "$json_watcher"
refused 'it is of show' igmp lab set igmp=on --watch
refused 'expected on or off' igmp lab set igmp=maybe
refused 'there is none of that name' igmp lab set z fast-leave=on
refused 'expected router=' igmp lab set a igmp=on
refused 'expected less than the query interval' igmp lab set response-interval=30
refused 'of a station' igmp lab set address=224.0.0.1
refused 'link-local' igmp lab set mld-address=2001:db8::1
"$TENON" switch igmp lab show >said || lab_fail "$(cat said)"
grep -q '^Query interval seconds: *[0-9]' said || lab_fail "$(cat said)"
lab_end || lab_fail "the switch ended with $?"
lab_done
