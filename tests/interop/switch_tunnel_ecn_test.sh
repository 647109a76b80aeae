#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Marks of congestion in tunnels (RFC 6040), beside the kernel's VXLAN: the same datagrams to both, and what comes out of them.
marks=$(cd "$(dirname "$0")" && pwd)/switch_tunnel_ecn.py
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
# Starts a listener, NAMESPACE OUT ARGUMENT..., and waits until it listens.
listen() {
	local namespace=$1 out=$2
	shift 2
	lab_background ip netns exec "$namespace" python3 "$marks" "$@" >"$out"
	listener=$!
	for _ in $(seq 600); do grep -qs listens "$out" && return; sleep 0.1; done
	lab_fail "no listener: $*"
}
ip link add ub type veth peer name vb
ip link set ub up
lab_host b vb 192.0.2.2/24 fd01::2/64
ip address add 192.0.2.1/24 dev ub
ip address add fd01::1/64 dev ub nodad

# ---- Both families: ours is at .1, the kernel's at .2 ----
for family in 4 6; do
	ours=192.0.2.1 theirs=192.0.2.2
	[ $family = 6 ] && ours=fd01::1 theirs=fd01::2
	ip -n b link add vx type vxlan id 42 local $theirs remote $ours dstport 4789 || lab_skip "this kernel has no VXLAN"
	ip -n b link set vx up
	lab_switch lab --port a=tap:ta --port t=vxlan:remote=$theirs,vni=42
	lab_host a ta
	listen b theirs$family heard vx
	python3 "$marks" send $theirs 4789 42
	wait $listener || lab_fail "the kernel's listener ended"
	listen a ours$family heard ta
	ip netns exec b python3 "$marks" send $ours 4789 42
	wait $listener || lab_fail "our listener ended"
	cmp theirs$family ours$family || lab_fail "IPv$family: $(diff theirs$family ours$family)"
	# All but two of 32, those that were marked of ends that do not know of marks.
	[ "$(wc -l <ours$family)" = 31 ] || lab_fail "IPv$family: $(cat ours$family)"
	[ "$(lab_stat t drops)" = "{'ecn_not_capable': 2}" ] || lab_fail "drops: $(lab_stat t drops)"
	# What leaves has outside what it has inside.
	listen b outer$family outer vb 4789
	ip netns exec a python3 "$marks" inner ta
	wait $listener || lab_fail "the listener outside ended"
	[ "$(sed 1d outer$family | sort | uniq -c | tr -s ' \n' ' ')" = " 8 0 0 8 1 1 8 2 2 8 3 3 " ] || lab_fail "outside: $(cat outer$family)"
	lab_end || lab_fail "the switch ended with $?"
	ip -n b link delete vx
	ip netns delete a
done
lab_done
