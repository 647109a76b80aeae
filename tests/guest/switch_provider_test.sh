#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A provider's bridges (802.1ad), ours and Linux's: two cables between them are a loop, which their own tree opens. A customer has a bridge of Linux's
# behind each, whose tree passes through the provider's as if it were a wire, and so do the customer's VLANs.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
[ -x "$TENON" ] || rig_skip "$TENON is not built"
for tool in ip bridge python3; do command -v $tool >/dev/null || rig_skip "$tool is not installed"; done
cd "$WORK"
rig_daemon switch "$TENON" switch run lab --socket-dir "$WORK" --capture "$WORK/x.pcapng" --stp rstp,priority=4096,hello=1,max-age=6,forward-delay=4 \
	--port a=vhost-user,trunk=10+20,tag-type=802.1ad --port b=vhost-user,trunk=10+20,tag-type=802.1ad \
	--port c=vhost-user,dot1q-tunnel=10 --port d=vhost-user,dot1q-tunnel=20
rig_await 60 grep -q ready "$WORK/switch.log"

cat >guest.sh <<GUEST
set -e
ip=$(command -v ip) bridge=$(command -v bridge)
GUEST
cat >>guest.sh <<'GUEST'
for i in $(seq 600); do [ -e /sys/class/net/eth3 ] && break; sleep 0.1; done
tree="stp_state 1 forward_delay 200 hello_time 100 max_age 600"
for name in provider one two; do $ip netns add $name; done
in_one() { $ip netns exec one "$@"; }
in_two() { $ip netns exec two "$@"; }
in_provider() { $ip netns exec provider "$@"; }
$ip link set eth2 netns one
$ip link add veth0 type veth peer name veth1
$ip link set veth1 netns two
for i in eth0 eth1 veth0; do $ip link set $i netns provider; done
# The provider's other bridge, where the customer's second site is.
in_provider $ip link add br0 type bridge vlan_filtering 1 vlan_protocol 802.1ad $tree
for i in eth0 eth1 veth0; do
	in_provider $ip link set $i master br0
	in_provider $ip link set $i up
	in_provider $bridge vlan del dev $i vid 1
done
for i in eth0 eth1; do in_provider $bridge vlan add dev $i vid 10; done
in_provider $bridge vlan add dev veth0 vid 10 pvid untagged
in_provider $ip link set br0 up
customer() { # NETNS CARD PRIORITY ADDRESS
	$ip netns exec $1 $ip link add br0 type bridge priority $3 $tree
	$ip netns exec $1 $ip link set $2 master br0
	$ip netns exec $1 $ip link add link br0 name c7 type vlan id 7
	for i in $2 br0 c7; do $ip netns exec $1 $ip link set $i up; done
	$ip netns exec $1 $ip address add $4/24 dev c7
}
customer one eth2 4096 10.7.0.1
customer two veth1 61440 10.7.0.2
about() { $ip netns exec $1 cat /sys/class/net/br0/bridge/$2; }
comes() { # COMMAND...: until it is so
	for i in $(seq 600); do "$@" && return 0; sleep 0.1; done
	in_provider $bridge -d link show
	for i in provider one two; do echo $i; about $i root_id; about $i bridge_id; done
	return 1
}
# One root for both of the customer's bridges, which is neither the provider's nor Linux's other one.
joined() { [ "$(about two root_id)" = "$(about one bridge_id)" ]; }
parted() { [ "$(about two root_id)" = "$(about two bridge_id)" ]; }
comes joined
opened() {
	in_provider $bridge link show >/tmp/links
	[ $(grep -c ' eth[01].*state forwarding' /tmp/links) = 1 ] && [ $(grep -c ' eth[01].*state blocking' /tmp/links) = 1 ]
}
comes opened
about provider root_id >/result/root
# The customer's frames, with his tag in the provider's.
comes in_one ping -c 1 -W 5 10.7.0.2
# Nobody but that customer hears of it.
cat /sys/class/net/eth3/statistics/rx_packets >/result/other
echo "READY: JOINED"
# The switch's port is one of an ordinary bridge: then the customer's tree ends there.
comes parted
echo "READY: PARTED"
comes joined
GUEST
rig_start uml --name guest --nic vhost-user:a.sock --nic vhost-user:b.sock --nic vhost-user:c.sock --nic vhost-user:d.sock \
	--with "$(command -v ip)" --with "$(command -v bridge)" --modules "virtio_net bridge 8021q veth" --script guest.sh --memory 256M
console=$(rig_console guest)
rig_await 120 grep -q "^READY: JOINED" "$console" || { tail -n 60 "$console"; "$TENON" switch stp lab show; rig_fail "the trees did not come to be"; }
"$TENON" switch stp lab show --json >tree
python3 - <<'PYTHON' || rig_fail "the provider's tree: $(cat tree)"
import json, sys
t = json.load(open("tree"))
ports = {p["port"]: p for p in t["tree_ports"]}
print({name: (p["tree_role"], p["state"], p["protocol"], p["rx_bpdus"]) for name, p in ports.items()})
# Of two cables a bridge that is not the root hears the root's on both, and says nothing itself; of the customer's nothing is heard.
sys.exit(not (t["is_root"] and all(ports[p]["state"] == "forwarding" for p in "abcd") and ports["c"]["rx_bpdus"] == 0))
PYTHON
"$TENON" switch port set lab c stp-group=bridge
rig_await 120 grep -q "^READY: PARTED" "$console" || { tail -n 60 "$console"; rig_fail "the customer's tree did not end"; }
"$TENON" switch port set lab c stp-group=none
rig_wait guest || rig_fail "in the guest"
# Linux writes 1000.525400123456 for "4096 52:54:00:12:34:56".
[ "$(rig_result root)" = "1000.$(python3 -c 'import json; print(json.load(open("tree"))["bridge"].split()[1].replace(":", ""))')" ] ||
	rig_fail "the provider's root is $(rig_result root): $(cat tree)"
[ "$(rig_result other)" -lt 1000 ] || rig_fail "$(rig_result other) frames came to the other customer: a loop"
# As another reads what was said: each kind both ways, the customer's in the provider's tag.
if command -v tshark >/dev/null; then
	seen() { # FILTER COUNT
		[ "$(tshark -r x.pcapng -Y "$1" 2>/dev/null | wc -l)" -ge "$2" ] || rig_fail "fewer than $2 frames of: $1"
	}
	seen 'eth.dst == 01:80:c2:00:00:08 && stp && frame.packet_flags_direction == 2' 10
	seen 'eth.dst == 01:80:c2:00:00:08 && stp && frame.packet_flags_direction == 1' 1
	seen 'eth.dst == 01:80:c2:00:00:00 && ieee8021ad.id == 10 && frame.packet_flags_direction == 2' 3
fi
