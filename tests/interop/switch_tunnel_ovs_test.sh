#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Tunnels of a switch with Open vSwitch's at the other end: VXLAN of several segments over IPv4 and IPv6, and Geneve. Each segment's frames come whole, all,
# in order, and in that segment alone.
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_ovs.sh"
command -v ovs-vswitchd >/dev/null || lab_skip "openvswitch-switch is not installed"
lab_enter "$@"

# We are at .1 and .3, Open vSwitch at .2. Its bridges' own interfaces are its hosts.
ip link add ud type veth peer name vd
ip link set ud up
for address in 192.0.4.1/24 192.0.4.3/24; do ip address add $address dev ud; done
ip address add fd04::1/64 dev ud nodad
lab_host d vd
ovs_sum ud
ovs_start ip netns exec d
netdev() { echo "add-br $1 -- set bridge $1 datapath_type=netdev"; }
far() { # BRIDGE TYPE REMOTE KEY: a bridge with a tunnel
	vsctl $(netdev "$1") -- add-port "$1" "t$1" -- set interface "t$1" type="$2" options:remote_ip="$3" options:key="$4" options:csum=true ||
		{ lab_fail "Open vSwitch does not take $*"; lab_done; }
}
vsctl $(netdev phy) -- add-port phy vd || { cat vs.log; lab_fail "Open vSwitch does not start"; lab_done; }
ip -n d address add 192.0.4.2/24 dev phy
ip -n d address add fd04::2/64 dev phy nodad
ip -n d link set phy up
far five vxlan 192.0.4.1 5
far most vxlan 192.0.4.3 16777214
far nobody vxlan 192.0.4.3 6
far six vxlan fd04::1 5
number=10
for bridge in five most nobody six; do
	ip -n d address add 10.0.$number.2/24 dev $bridge
	ip -n d link set $bridge mtu 1400 up
	number=$((number + 1))
done
lab_switch lab --threads 2 --port a=tap:ta,vlan=5 --port ma=tap:tm,vlan=7 --port sa=tap:ts,vlan=6 \
	--port t=vxlan:remote=192.0.4.2,vni=5,local=192.0.4.1,vlan=5 --port m=vxlan:remote=192.0.4.2,vni=16777214,local=192.0.4.3,vlan=7 \
	--port s=vxlan:remote=fd04::2,vni=5,vlan=6
lab_host a ta 10.0.10.1/24
lab_host m tm 10.0.11.1/24
lab_host s ts 10.0.13.1/24
lab_background dumpcap -q -i ud -P -w ud.pcap -f "udp port 4789" 2>dumpcap.err
capture=$!
for _ in $(seq 600); do [ -s ud.pcap ] && break; sleep 0.1; done
both() { # HOST INTERFACE BRIDGE SUBNET [OTHER INTERFACE]...: where none of its frames may come
	lab_reach "$1" "10.0.$4.2"
	lab_carry "$1" "$2" d "$3" 1414 "${@:5}"
	lab_carry d "$3" "$1" "$2" 1414 "${@:5}"
	lab_transfer "$1" d 3000000 "10.0.$4.2" tcp
	lab_transfer d "$1" 3000000 "10.0.$4.1" tcp
	lab_transfer "$1" d 60000 "10.0.$4.2" udp 1300
	lab_transfer d "$1" 60000 "10.0.$4.1" udp 1300
}
both a ta five 10 m tm s ts d most d nobody d six
both m tm most 11 a ta s ts d five d nobody d six
both s ts six 13 a ta m tm d five d most d nobody
# What a tunnel of another segment sends is dropped as that, and none of it comes.
python3 "$LAB_FRAMES" send 254 50 1414 d nobody
for _ in $(seq 600); do [[ "$(lab_stat m drops)" =~ "'wrong_vni': "([0-9]+) && ${BASH_REMATCH[1]} -ge 50 ]] && break; sleep 0.1; done
[[ "$(lab_stat m drops)" =~ "'wrong_vni': "([0-9]+) && ${BASH_REMATCH[1]} -ge 50 ]] || lab_fail "of 50 frames of another segment: $(lab_stat m drops)"
lab_end || lab_fail "the switch ended with $?"
# On the wire it is what a third one decodes: which VNI goes from where to where, with right sums outside.
kill $capture
wait $capture
tshark -r ud.pcap -o udp.check_checksum:TRUE -T fields -E separator='|' -E occurrence=f -e ip.src -e ipv6.src -e ip.dst -e ipv6.dst -e vxlan.vni \
	-e udp.checksum.status 2>/dev/null | awk -F'|' '{print $1 ~ /^192/ ? $1 : $2, $3 ~ /^192/ ? $3 : $4, $5, $6}' | LC_ALL=C sort -u >wire
LC_ALL=C sort >expected <<'WIRE'
192.0.4.1 192.0.4.2 5 1
192.0.4.2 192.0.4.1 5 1
192.0.4.3 192.0.4.2 16777214 1
192.0.4.2 192.0.4.3 16777214 1
192.0.4.2 192.0.4.3 6 1
fd04::1 fd04::2 5 1
fd04::2 fd04::1 5 1
WIRE
cmp expected wire || lab_fail "tshark sees on the wire: $(cat wire)"
for host in a m s; do ip netns delete $host; done
for bridge in five most nobody six; do vsctl del-br $bridge; done

# ---- Geneve ----
far gen geneve 192.0.4.1 7
ip -n d address add 10.0.20.2/24 dev gen
ip -n d link set gen mtu 1400 up
lab_switch lab --port a=tap:ta --port t=geneve:remote=192.0.4.2,vni=7
lab_host a ta 10.0.20.1/24
both a ta gen 20
# An option that may be passed over, and one that may not.
ip netns exec d python3 - <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
frame = b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 9]) + b"\x88\xb5" + b"z" * 46
s.sendto(bytes.fromhex("0100655800000700" "01040100") + frame, ("192.0.4.1", 6081))
s.sendto(bytes.fromhex("0140655800000700" "01048100") + frame, ("192.0.4.1", 6081))
PYTHON
for _ in $(seq 600); do
	[ "$(lab_stat t drops)" = "{'critical_option': 1}" ] && break
	sleep 0.1
done
[ "$(lab_stat t drops)" = "{'critical_option': 1}" ] || lab_fail "$(lab_show)"
"$TENON" switch table list lab | grep -q '^02:00:00:00:00:09.*t ' || lab_fail "a frame with an option was lost"
lab_end || lab_fail "the switch ended with $?"
lab_done
