#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# IGMP and MLD snooping with Linux's own hosts, of each version, and Linux's bridge as another querier: who gets a group's packets,
# who does not, and when that ends. A switch of two threads.
# timeout: 300
set -u
. "$(dirname "$0")/switch_lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
lab_enter "$@"

cat >group.py <<'PYTHON'
# join GROUP...: joins, prints "joined", and then each packet's text; a line at standard input leaves.
# send GROUP COUNT: sends so many packets, at 5 ms.
import select, socket, struct, sys, time
def place(group):
    return (socket.AF_INET6 if ":" in group else socket.AF_INET)
def membership(group):
    if ":" in group:
        return socket.inet_pton(socket.AF_INET6, group) + struct.pack("I", socket.if_nametoindex(sys.argv[1]))
    return socket.inet_aton(group) + struct.pack("II", 0, socket.if_nametoindex(sys.argv[1]))
kind, group = sys.argv[2], sys.argv[3]
s = socket.socket(place(group), socket.SOCK_DGRAM)
six = ":" in group
level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
if kind == "join":
    s.bind((group, 5001, 0, socket.if_nametoindex(sys.argv[1])) if six else (group, 5001))
    s.setsockopt(level, 20 if six else socket.IP_ADD_MEMBERSHIP, membership(group))
    print("joined", flush=True)
    while True:
        ready = select.select([s, 0], [], [], 60)[0]
        if s in ready:
            print(s.recv(100).decode(), flush=True)
        if 0 in ready or not ready:
            break
    s.setsockopt(level, 21 if six else socket.IP_DROP_MEMBERSHIP, membership(group))
    print("left", flush=True)
else:
    if six:
        s.setsockopt(level, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(sys.argv[1]))
    else:
        s.setsockopt(level, socket.IP_MULTICAST_IF, membership(group))
    for i in range(int(sys.argv[4])):
        s.sendto(b"packet %d" % i, (group, 5001))
        time.sleep(0.005)
PYTHON
cat >look.py <<'PYTHON'
# look.py EXPRESSION: whether it holds of `switch igmp show --json`: s.
import json, sys
s = json.load(sys.stdin)
def at(group): return sorted(m["port"] for m in s["memberships"] if m["multicast_group"] == group)
def version(group): return [m["protocol_version"] for m in s["memberships"] if m["multicast_group"] == group]
def vlan(family): return [v for v in s["snooped_vlans"] if v["family"] == family][0]
try:
    sys.exit(0 if eval(sys.argv[1]) else 1)
except (KeyError, IndexError, NameError) as wrong:
    print(repr(wrong))
    sys.exit(2)
PYTHON
ask() { "$TENON" switch "$@" >said 2>&1 || lab_fail "switch $*: $(cat said)"; }
# Waits until it is so.
becomes() {
	for _ in $(seq 600); do
		"$TENON" switch igmp lab show --json >shown && python3 look.py "$1" <shown && return
		[ $? = 1 ] || break
		sleep 0.1
	done
	lab_fail "line ${BASH_LINENO[0]}: '$1' did not come to be: $(cat shown)"
}
awaits() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; return 1; }
join() { # HOST INTERFACE GROUP: the file $1.in ends it
	mkfifo "$1.in"
	ip netns exec "$1" python3 group.py "$2" join "$3" <"$1.in" >"$1.out" 2>&1 &
	LAB_PIDS+=($!)
	eval "exec $4>$1.in"
	for _ in $(seq 600); do grep -qs joined "$1.out" && return; sleep 0.1; done
	lab_fail "$1 cannot join: $(cat "$1.out")"
}
# Frames of the group that leave by a port: what `c` and others get must not grow. $3: how many packets.
sends() { ip netns exec pa python3 group.py tapa send "$1" "$2" || lab_fail "cannot send to $1"; }
gets() { # PORT INTERFACE: packets that came in there, in its host
	ip netns exec "$1" cat "/sys/class/net/$2/statistics/multicast"
}

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

# It leaves: the switch asks twice, a second apart, and Linux does not answer; see below.
echo >&7
exec 7>&-

# The older versions.
for version in 1 2; do
	rm -f pb.in pb.out
	ip netns exec pb sh -c "echo $version >/proc/sys/net/ipv4/conf/tapb/force_igmp_version"
	join pb tapb 239.1.2.$version 7
	becomes "at('239.1.2.$version') == ['b'] and version('239.1.2.$version') == [$version]"
	echo >&7
	exec 7>&-
done
rm -f pb.in pb.out
ip netns exec pb sh -c 'echo 0 >/proc/sys/net/ipv4/conf/tapb/force_igmp_version; echo 1 >/proc/sys/net/ipv6/conf/tapb/force_mld_version'
join pb tapb ff0e::77 7
becomes 'at("ff0e::77") == ["b"] and version("ff0e::77") == [1]'
before=$(lab_stat c tx_frames)
sends ff0e::77 60
for _ in $(seq 600); do grep -q 'packet 59' pb.out && break; sleep 0.1; done
[ "$(grep -c packet pb.out)" = 60 ] || lab_fail "b got of 60 packets by IPv6: $(cat pb.out)"
[ $(($(lab_stat c tx_frames) - before)) -lt 40 ] || lab_fail "c got what b asked for by MLD"
echo >&7
exec 7>&-
becomes 'at("ff0e::77") == []'
becomes 'at("239.1.2.3") == [] and at("239.1.2.2") == []' # not that of IGMP 1, which leaves without a word
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
	# Reports go there: the bridge knows of members behind the switch, by its own snooping.
	rm -f pb.in pb.out
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
