#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Tunnels that flood to a multicast group, with the kernel's VXLAN and another switch in the same group, over IPv4 and IPv6.
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
# The underlay is a bridge, with ours at .1, the kernel's in b and c, and another switch in d.
ip link add under type bridge || lab_skip "this kernel has no bridge"
ip link set under up
ip address add 192.0.2.1/24 dev under
ip address add fd01::1/64 dev under nodad
number=2
for name in b c d; do
	ip link add "u$name" type veth peer name "v$name"
	ip link set "u$name" master under up
	lab_host $name "v$name" 192.0.2.$number/24 fd01::$number/64
	ip -n $name route add 224.0.0.0/4 dev "v$name"
	number=$((number + 1))
done
datagrams() { # NAMESPACE: how many came in there
	ip netns exec "$1" cat /proc/net/snmp /proc/net/snmp6 | awk '/^Udp: [0-9]/ {sum += $2} /^Udp6InDatagrams/ {sum += $2} END {print sum}'
}
other_switch() {
	ip netns exec d env TENON_RUNTIME_DIR="$LAB/other" "$TENON" switch run other --socket-dir "$LAB/other" \
		--port e=tap:te "$@" >other.out 2>&1 &
	other=$!
	LAB_PIDS+=($other)
	for _ in $(seq 600); do grep -qs ready other.out && break; sleep 0.1; done
	ip -n d address add 10.0.0.4/24 dev te
	ip -n d link set te up
}
for group in 239.1.1.1 ff05::42; do
	for name in b c; do
		ip -n $name link add vx type vxlan id 42 group $group dev v$name dstport 4789 || lab_skip "this kernel has no VXLAN"
		ip -n $name link set vx up
	done
	ip -n b address add 10.0.0.2/24 dev vx
	ip -n c address add 10.0.0.3/24 dev vx
	lab_switch lab --threads 2 --port a=tap:ta --port "t=vxlan:group=$group,dev=under,vni=42"
	lab_host a ta 10.0.0.1/24
	other_switch --port "t=vxlan:vni=42,group=$group,dev=vd"
	for last in 2 3 4; do lab_reach a 10.0.0.$last; done
	lab_reach b 10.0.0.3
	lab_reach b 10.0.0.4
	lab_show | grep -q "VNI 42 to group $group, hosts: 3" || lab_fail "$(lab_show)"
	lab_transfer a b 5000000 10.0.0.2 tcp
	lab_transfer b a 5000000 10.0.0.1 tcp
	# What is for one host goes to that one alone, though others would drop it.
	before=$(datagrams c)
	lab_transfer a b 300000 10.0.0.2 tcp
	[ $(($(datagrams c) - before)) -lt 30 ] || lab_fail "it went to the group: $before, $(datagrams c)"
	# Another VNI of the same group teaches nothing.
	ip -n c link set vx down
	ip -n c link add vy type vxlan id 43 group $group dev vc dstport 4789
	ip -n c link set vy up
	ip netns exec c busybox arping -q -c 1 -I vy 10.0.0.9
	for _ in $(seq 600); do lab_stat t drops | grep -q wrong_vni && break; sleep 0.1; done
	lab_stat t drops | grep -q wrong_vni || lab_fail "$(lab_show)"
	kill $other
	wait $other
	lab_end || lab_fail "the switch ended with $?"
	for name in b c; do ip -n $name link delete vx; done
	ip -n c link delete vy
	ip netns delete a
done

# ---- Without an interface it is the route's; an interface that is made anew is joined again ----
ip route add 239.1.1.0/24 dev under
ip link add again type veth peer name inner
ip link set again up
ip address add 192.0.9.1/24 dev again
ip netns add e
ip link set inner netns e
ip -n e link set inner up
ip -n e address add 192.0.9.2/24 dev inner
join_e() {
	ip -n e link add vx type vxlan id 42 group 239.1.1.2 dev inner dstport 4789
	ip -n e address add 10.0.0.5/24 dev vx
	ip -n e link set vx up
}
join_e
ip -n b link add vx type vxlan id 9 group 239.1.1.1 dev vb dstport 4790
ip -n b address add 10.0.0.2/24 dev vx
ip -n b link set vx up
lab_switch lab --port a=tap:ta --port t=vxlan:group=239.1.1.1:4790,vni=9,local=192.0.2.1:4790 --port u=vxlan:group=239.1.1.2,dev=again,vni=42,ttl=3
lab_host a ta 10.0.0.1/24
lab_reach a 10.0.0.2
lab_reach a 10.0.0.5
ip link delete again
# While it is gone, past the next look for it, nothing is joined or sent at the one that the route to the group says (under).
sleep 12
ip netns exec a busybox arping -q -c 1 -I ta 10.0.0.99
ip maddress show dev under | grep -q 239.1.1.2 && lab_fail "the group was joined elsewhere: $(ip maddress show dev under)"
ip link add again type veth peer name inner netns e
ip link set again up
ip address add 192.0.9.1/24 dev again
ip -n e link set inner up
ip -n e address add 192.0.9.2/24 dev inner
ip -n e link show vx 2>/dev/null >/dev/null || join_e
ip -n a neighbour flush dev ta
lab_reach a 10.0.0.5
lab_end || lab_fail "the switch ended with $?"

# ---- What cannot be is refused ----
lab_switch lab
for bad in geneve:group=239.1.1.1,vni=1 vxlan:group=192.0.2.1,vni=1 vxlan:group=239.1.1.1,remote=192.0.2.2,vni=1 vxlan:group=ff02::1,vni=1 \
	vxlan:remote=192.0.2.2,vni=1,dev=under vxlan:group=239.1.1.1,vni=1,ttl=256 \
	vxlan:group=239.1.1.1,local=fd01::1,vni=1 vxlan:group=239.1.1.1,station=02:00:00:00:00:01@fd01::1,vni=1 \
	vxlan:group=239.1.1.1,dev=a-name-too-long-for-one,vni=1; do
	"$TENON" switch port add lab "x=$bad" 2>err
	[ $? = 2 ] && grep -q "port x" err || lab_fail "$bad: $(cat err)"
done
"$TENON" switch port add lab x=vxlan:group=239.1.1.1,dev=none,vni=1 2>err && lab_fail "an interface that is not there"
grep -q 'dev=none: there is no such interface' err || lab_fail "$(cat err)"
"$TENON" switch port add lab x=vxlan:group=239.99.1.1,vni=1 2>err && lab_fail "no route"
grep -q 'say by which interface (dev=)' err || lab_fail "$(cat err)"
lab_end
lab_done
