#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What of a packet's DSCP and TTL the datagrams of a tunnel have that it is in (tos=, ttl=): the same as the kernel's VXLAN and Open vSwitch's Geneve make
# of the same frames, IPv4, IPv6 and others, in datagrams of IPv4 and of IPv6.
# timeout: 200
outer=$(cd "$(dirname "$0")" && pwd)/switch_tunnel_outer.py
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_ovs.sh"
lab_enter "$@"
ip link add ub type veth peer name vb
ip link set ub up
ip address add 192.0.2.1/24 dev ub
ip address add fd01::1/64 dev ub nodad
lab_host b vb 192.0.2.2/24 fd01::2/64
ip netns add a
# What the frames that come in by FROM's INTERFACE are in where AT's INTERFACE hears them, at a PORT; into the file OUT.
made() { # OUT FROM INTERFACE AT INTERFACE PORT
	rm -f "$1"
	timeout 100 nsenter --net="/run/netns/$4" python3 "$outer" outer "$5" "$6" >"$1" &
	local listener=$!
	for _ in $(seq 600); do grep -qs listens "$1" && break; sleep 0.1; done
	ip netns exec "$2" python3 "$outer" inner "$3"
	wait $listener || lab_fail "not all datagrams came: $(cat "$1")"
	sed -i 1d "$1"
}
touch /run/netns/here && mount --bind /proc/self/ns/net /run/netns/here
compare() { # WHAT LINES
	cmp theirs ours || lab_fail "$1: $(diff theirs ours)"
	[ "$(cut -d ' ' -f 5- ours | sort -u | wc -l)" = "$2" ] || lab_fail "$1: $(cat ours)"
}
# ---- The kernel's VXLAN is at .2 ----
for family in 4 6; do
	ours=192.0.2.1 theirs=192.0.2.2
	[ $family = 6 ] && ours=fd01::1 theirs=fd01::2
	# How many different headers these make.
	for words in "inherit inherit 9" "184 9 3" "inherit 77 4" "0 inherit 7"; do
		set -- $words
		[ "$1" = inherit ] && hex=inherit || hex=$(printf %x "$1")
		ip -n b link add vx type vxlan id 42 local $theirs remote $ours dstport 4789 tos "$hex" ttl "$2" || lab_skip "this kernel has no VXLAN"
		ip -n b link set vx up
		lab_switch lab --port a=tap:ta --port "t=vxlan:remote=$theirs,vni=42,tos=$1,ttl=$2"
		ip link set ta netns a
		ip -n a link set ta up
		made theirs b vx here ub 4789
		made ours a ta b vb 4789
		compare "IPv$family, tos=$1, ttl=$2" "$3"
		lab_end || lab_fail "the switch ended with $?"
		ip -n b link delete vx
	done
done
# ---- What cannot be ----
lab_switch lab
for bad in tos=1 tos=256 tos=inherited tos= ttl=0 ttl=256 ttl=auto; do
	"$TENON" switch port add lab "x=vxlan:remote=192.0.2.2,vni=1,$bad" 2>err
	[ $? = 2 ] && grep -q "port x.*$bad: expected \"inherit\"" err || lab_fail "$bad: $(cat err)"
done
"$TENON" switch port add lab x=vxlan:group=239.1.1.1,dev=ub,vni=1,ttl=inherit 2>err
[ $? = 2 ] && grep -q 'expected a number with "group="' err || lab_fail "a group: $(cat err)"
lab_end || lab_fail "the switch ended with $?"
# ---- Open vSwitch's Geneve ----
command -v ovs-vswitchd >/dev/null || { echo "# no Geneve: openvswitch-switch is not installed"; lab_done; }
ip link add ud type veth peer name vd
ip link set ud up
ip address add 192.0.4.1/24 dev ud
lab_host d vd
ovs_sum ud
ovs_start ip netns exec d
vsctl add-br phy -- set bridge phy datapath_type=netdev -- add-port phy vd -- add-br int -- set bridge int datapath_type=netdev -- \
	add-port int gv -- set interface gv type=geneve options:remote_ip=192.0.4.1 options:key=7 options:csum=true options:tos=inherit options:ttl=inherit ||
	{ cat vs.log; lab_fail "Open vSwitch does not start"; lab_done; }
ip -n d address add 192.0.4.2/24 dev phy
ip -n d link set phy up
ip -n d address add 10.0.0.2/24 dev int
ip -n d link set int mtu 1400 up
lab_switch lab --port a=tap:ta --port t=geneve:remote=192.0.4.2,vni=7,tos=inherit,ttl=inherit
ip link set ta netns a
ip -n a address add 10.0.0.1/24 dev ta
ip -n a link set ta up
lab_reach a 10.0.0.2 # Open vSwitch knows then where we are
made theirs d int here ud 6081
made ours a ta d vd 6081
compare "Geneve" 9
lab_end || lab_fail "the switch ended with $?"
lab_done
