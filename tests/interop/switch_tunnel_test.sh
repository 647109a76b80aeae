#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Tunnels of a switch, with the kernel's VXLAN at the other end.
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
# An underlay to a namespace: OWN NAMESPACE OWN-ADDRESS OTHER-ADDRESS
underlay() {
	ip link add "u$2" type veth peer name "v$2"
	ip address add "$3" dev "u$2" $([[ $3 = *:* ]] && echo nodad)
	ip link set "u$2" up
	lab_host "$2" "v$2" "$4"
}
underlay u b 192.0.2.1/24 192.0.2.2/24
underlay u c 192.0.3.1/24 192.0.3.2/24
ip -n b link add vx type vxlan id 42 local 192.0.2.2 remote 192.0.2.1 dstport 4789 || lab_skip "this kernel has no VXLAN"
ip -n c link add vx type vxlan id 42 local 192.0.3.2 remote 192.0.3.1 dstport 4789
for name in b c; do ip -n $name link set vx up; done
ip -n b address add 10.0.0.2/24 dev vx
ip -n c address add 10.0.0.3/24 dev vx
lab_switch lab --port a=tap:ta --port t=vxlan:remote=192.0.2.2,remote=192.0.3.2,vni=42
lab_host a ta 10.0.0.1/24
lab_background dumpcap -q -i ub -P -w ub.pcap -f "udp port 4789" 2>dumpcap.err # tcpdump becomes another user, which not all may

# ---- VXLAN: two remotes, each behind which the other is not ----
lab_reach a 10.0.0.2
lab_reach a 10.0.0.3
ip netns exec b busybox ping -c 1 -W 1 10.0.0.3 >/dev/null && lab_fail "what came from one remote went to the other"
lab_transfer a b 20000000 10.0.0.2 tcp
lab_transfer b a 20000000 10.0.0.1 tcp
lab_transfer a c 3000000 10.0.0.3 tcp
lab_transfer a b 60000 10.0.0.2 udp
lab_transfer b a 60000 10.0.0.1 udp
lab_show | grep -q '"mtu=1450"' || lab_fail "$(lab_show)"
# Large frames came in whole and unfinished, as the kernel has them, and were made right.
[ "$(lab_stat t rx_bytes)" -gt $((3000 * $(lab_stat t rx_frames))) ] || lab_fail "small frames came in: $(lab_show)"
# What no segment can carry is dropped, and said; a remote's foreign segment, and a stranger, too.
ip netns exec a busybox ping -c 1 -W 1 -s 1440 10.0.0.2 >ping && lab_fail "1482 bytes fit into 1464"
ip netns exec c python3 - <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
frame = b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 9]) + b"\x88\xb5" + b"z" * 46
for head in (bytes.fromhex("0800000000002b00"), bytes.fromhex("0000000000002a00"), bytes.fromhex("080000000000")):
    s.sendto(head + (frame if len(head) == 8 else b""), ("192.0.3.1", 4789))
s.sendto(bytes.fromhex("0800000000002a00") + frame[:13], ("192.0.3.1", 4789))
PYTHON
ip -n c address add 192.0.3.9/24 dev vc
ip netns exec c python3 - <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.3.9", 0))
s.sendto(bytes.fromhex("0800000000002a00") + b"\xff" * 60, ("192.0.3.1", 4789))
PYTHON
wanted="'bad_length': 1 'bad_tunnel_header': 2 'too_long': 1 'unknown_remote': 1 'wrong_vni': 1"
for _ in $(seq 600); do
	found=$(lab_stat t drops | tr -d '{},' | sed "s/ '/\n'/g" | sort | tr '\n' ' ')
	[ "$found" = "$wanted " ] && break
	sleep 0.1
done
[ "$found" = "$wanted " ] || lab_fail "drops: $found"
"$TENON" switch counters lab | grep -q 'wrong_vni 1' || lab_fail "$("$TENON" switch counters lab)"
# The way becomes narrower, which the kernel says, and wide again, which nobody does.
ip link set ub mtu 1400
ip netns exec a busybox ping -c 2 -W 1 -s 1400 10.0.0.2 >/dev/null
for _ in $(seq 600); do lab_show | grep -q '"mtu=1350"' && break; sleep 0.1; done
lab_show | grep -q '"mtu=1350"' || lab_fail "narrower: $(lab_show)"
# Gone for a moment, the route says nothing: what did not fit before is not taken to fit now. Back, and wider, it does.
ip link set ub down
sleep 12
lab_show | grep -q '"mtu=1350"' || lab_fail "without a route: $(lab_show)"
ip link set ub up
ip link set ub mtu 1500
for _ in $(seq 600); do lab_show | grep -q '"mtu=1450"' && break; sleep 0.1; done
lab_show | grep -q '"mtu=1450"' || lab_fail "wide again: $(lab_show)"
lab_said 'warning: port t: frames of at most 1364'
grep -q 'warning: port t: frames of at most 1464' switch.out && lab_fail "wider is a warning: $(cat switch.out)"
"$TENON" switch port add lab u=vxlan:remote=192.0.2.2,vni=43 2>err && lab_fail "two tunnels of one port"
grep -q 'another local address or port' err || lab_fail "$(cat err)"
for bad in 'vxlan:remote=192.0.2.2' 'vxlan:remote=224.0.0.1,vni=1' 'vxlan:vni=1' 'geneve:remote=192.0.2.2,remote=192.0.2.2,vni=1' \
	'vxlan:remote=192.0.2.2,vni=16777216' 'geneve:remote=192.0.2.2,remote=fd00::1,vni=1' 'vxlan:remote=host,vni=1'; do
	"$TENON" switch port add lab "x=$bad" 2>err
	[ $? = 2 ] && grep -q "port x=" err || lab_fail "$bad: $(cat err)"
done
"$TENON" switch port add lab w=geneve:remote=192.0.2.2,remote=192.0.3.2,vni=9,vlan=9 || lab_fail "port add"
"$TENON" switch port show lab w --json | grep -q '"VNI 9 to 192.0.2.2 and 1 more"' || lab_fail "$("$TENON" switch port show lab w)"
lab_end || lab_fail "the switch ended with $?"

# ---- The same over IPv6, with an address that is behind a remote for good ----
mac=$(ip -n b -j link show vx | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')
ip -n b link delete vx
ip address add fd01::1/64 dev ub nodad
ip -n b address add fd01::2/64 dev vb nodad
# Its datagrams have no checksums, which RFC 7348 (section 5) has taken for good over IPv6, too.
ip -n b link add vx type vxlan id 42 local fd01::2 remote fd01::1 dstport 4789 udp6zerocsumtx udp6zerocsumrx
ip -n b link set vx address "$mac" up
ip -n b address add 10.0.0.2/24 dev vx
ip netns delete a
lab_switch lab --threads 2 --port a=tap:ta --port "t=vxlan:station=$mac@fd01::2,vni=42,local=fd01::1"
lab_host a ta 10.0.0.1/24
ip -n a neighbour replace 10.0.0.2 lladdr "$mac" dev ta
lab_reach a 10.0.0.2
lab_transfer a b 3000000 10.0.0.2 tcp
lab_transfer b a 3000000 10.0.0.1 tcp
lab_show | grep -q '"mtu=1430"' || lab_fail "$(lab_show)"
lab_end || lab_fail "the switch ended with $?"

# ---- What it sends is VXLAN to others, too, with right checksums inside and outside ----
kill "${LAB_PIDS[1]}"
wait "${LAB_PIDS[1]}"
tshark -r ub.pcap -T fields -e vxlan.vni -e udp.checksum 2>/dev/null | sort -u >fields
grep -q '^42' fields || lab_fail "tshark sees no VNI: $(head -3 fields)"
lab_done
