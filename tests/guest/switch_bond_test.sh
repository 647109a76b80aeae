#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bonds of the switch with Linux's bonding driver at the other end: 802.3ad fast and slow, balance-xor, and a bridge of Linux's before
# a bond of one active link. All links come together, traffic goes over all of them, a link that fails, or is taken away, is done
# without; after a failover who is where is told.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
[ -x "$TENON" ] || rig_skip "$TENON is not built"
duplex=$TOP/build/tests/helpers/full_duplex
[ -x "$duplex" ] || rig_skip "full_duplex is not built"
command -v ip >/dev/null || rig_skip "iproute2 is not installed"
command -v python3 >/dev/null || rig_skip "python3 is not installed"
ip=$(command -v ip)
cd "$WORK"
nics=()
for n in a0 a1 b0 b1 c0 c1 d0 d1 far; do nics+=(--nic "vhost-user:$n.sock"); done
rig_daemon switch "$TENON" switch run lab --socket-dir "$WORK" --threads 2 --capture "$WORK/x.pcapng" \
	--port a=bond,bond-rate=fast,bond-hash=layer3+4 --port a0=vhost-user,bond=a --port a1=vhost-user,bond=a \
	--port b=bond --port b0=vhost-user,bond=b --port b1=vhost-user,bond=b \
	--port c=bond,bond-mode=static,bond-hash=layer3+4 --port c0=vhost-user,bond=c --port c1=vhost-user,bond=c \
	--port d=bond,bond-mode=active-backup,bond-primary=d0 --port d0=vhost-user,bond=d --port d1=vhost-user,bond=d \
	--port far=vhost-user
rig_await 60 grep -q ready "$WORK/switch.log"

cat >guest.sh <<GUEST
set -ex
ip=$ip bridge=$(command -v bridge) duplex=$duplex
GUEST
cat >>guest.sh <<'GUEST'
for i in $(seq 600); do [ -e /sys/class/net/eth8 ] && break; sleep 0.1; done
$duplex eth0 eth1 eth2 eth3 eth4 eth5
# All are in one segment: each answers for its own address only.
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
# The namespace far away has all subnets.
$ip netns add far
$ip link set eth8 netns far
far() { $ip netns exec far "$@"; }
far $ip link set eth8 up
for i in 0 1 2 3; do far $ip address add 10.0.$i.1/24 dev eth8; done
bond() { # NAME SUBNET FIRST SECOND OPTION...
	name=$1 subnet=$2 first=$3 second=$4
	shift 4
	$ip link add $name type bond miimon 100 "$@"
	$ip link set $first master $name
	$ip link set $second master $name
	$ip link set $name up
	$ip address add 10.0.$subnet.2/24 dev $name
}
bond fast 0 eth0 eth1 mode 802.3ad lacp_rate fast xmit_hash_policy layer3+4
bond slow 1 eth2 eth3 mode 802.3ad lacp_rate slow
bond xor 2 eth4 eth5 mode balance-xor xmit_hash_policy layer3+4
$ip link add bridge type bridge
for i in eth6 eth7; do $ip link set $i up; $ip link set $i master bridge; done
$ip link set bridge up
$ip address add 10.0.3.2/24 dev bridge
# Both links in one aggregator, and a partner that is somebody.
ports() { # BOND COUNT
	for i in $(seq 600); do
		if grep -q "Number of ports: $2" /proc/net/bonding/$1 && ! grep -q "Partner Mac Address: 00:00:00:00:00:00" /proc/net/bonding/$1; then
			[ $(grep -c "port state: 61" /proc/net/bonding/$1) = $(($2 * 2)) ] && return 0
			[ $(grep -c "port state: 63" /proc/net/bonding/$1) -ge $2 ] && return 0
		fi
		sleep 0.2
	done
	cat /proc/net/bonding/$1
	return 1
}
ports fast 2
ports slow 2
cat /proc/net/bonding/fast >/result/fast
cat /proc/net/bonding/slow >/result/slow
reach() { # SUBNET
	for i in $(seq 600); do far ping -c 1 -W 1 10.0.$1.2 && return 0; done
	cat /proc/net/bonding/* /proc/interrupts
	$ip -s link
	return 1
}
for i in 0 1 2 3; do reach $i; done
received() { cat /sys/class/net/$1/statistics/rx_packets; }
# All pass, soon: Linux, too, needs a moment.
clean() {
	for i in $(seq 60); do
		far ping -c 5 -i 0.1 -W 5 10.0.0.2 >/tmp/ping || true
		grep -q " 0% packet loss" /tmp/ping && return 0
	done
	cat /tmp/ping
	return 1
}
# Flows to ports that nobody listens on, of which each has its link.
spread() { # SUBNET FIRST SECOND
	before="$(received $2) $(received $3)"
	far sh -c "for port in $(seq -s ' ' 200 219); do nc -w 5 10.0.$1.2 \$port </dev/null; done; true"
	after="$(received $2) $(received $3)"
	echo $before $after >/result/spread$1
	set -- $before $after
	[ $(($3 - $1)) -ge 2 ] && [ $(($4 - $2)) -ge 2 ]
}
spread 0 eth0 eth1
spread 2 eth4 eth5
# Who was active by the bridge's table. Then the host has the other link be.
mac=$(far cat /sys/class/net/eth8/address)
bridge_table() { $bridge fdb show br bridge; }
bridge_table >/result/before
bridge_table | grep "$mac" | grep -q eth6
echo "READY: FAILOVER"
# Nobody sends meanwhile: it is told.
for i in $(seq 3000); do bridge_table | grep "$mac" | grep -q eth7 && break; sleep 0.1; done
bridge_table | grep "$mac" | grep eth7
reach 3
# A link of the fast bond fails, and nobody but LACP can know.
$ip link set eth0 down
echo "READY: DOWN"
# The host has the first link of the bridge be active again when the switch knows.
for i in $(seq 600); do bridge_table | grep "$mac" | grep -q eth6 && break; sleep 0.1; done
clean
grep -q "Number of ports: 1" /proc/net/bonding/fast
$ip link set eth0 up
ports fast 2
# The switch takes one of its links out, live, and says so, while both carry flows.
for i in $(seq 11 18); do
	far $ip address add 10.0.0.$i/24 dev eth8
	ping -q -i 0.01 10.0.0.$i >/dev/null &
done
# Until so many more packets have come by each of two.
more() { # COUNT ONE OTHER
	one=$(($(received $2) + $1)) other=$(($(received $3) + $1))
	for i in $(seq 600); do
		[ $(received $2) -ge $one ] && [ $(received $3) -ge $other ] && return 0
		sleep 0.1
	done
	return 1
}
more 50 eth0 eth1
echo "READY: LEAVE"
for i in $(seq 600); do grep -q "Number of ports: 1" /proc/net/bonding/fast && break; sleep 0.1; done
more 50 eth0 eth0
kill $(jobs -p)
clean
GUEST
rig_start uml --name guest "${nics[@]}" --with "$ip" --with "$(command -v bridge)" --modules "virtio_net bonding bridge" \
	--with "$duplex" --script guest.sh --memory 256M
console=$(rig_console guest)
shows() { # EXPRESSION
	"$TENON" switch lacp lab show --json | python3 -c '
import json, sys
s = json.load(sys.stdin)
bonds = {b["bond"]: b for b in s["bonds"]}
links = {l["port"]: l for l in s["bond_links"]}
sys.exit(not eval(sys.argv[1]))' "$1"
}
rig_await 120 grep -q "^READY: FAILOVER" "$console" || { tail -n 40 "$console"; "$TENON" switch lacp lab show; rig_fail "the bonds did not come together"; }
shows 'all(b["state"] == "up" and b["carrying"] == (1 if b["bond"] == "d" else 2) for b in bonds.values())' || rig_fail "$("$TENON" switch lacp lab show)"
shows 'bonds["a"]["rate"] == "fast" and "short_timeout" in links["a0"]["partner_states"] and "short_timeout" not in links["b0"]["partner_states"]' || rig_fail "rates"
shows 'links["a0"]["partner_key"] == links["a1"]["partner_key"] and bonds["d"]["active_link"] == "d0"' || rig_fail "partners"
# What came by both links, and what is learned at the bond.
"$TENON" switch show lab --json >shown
python3 - <<'PYTHON' || rig_fail "frames did not come over both links: $("$TENON" switch counters lab)"
import json, sys
shown = json.load(open("shown"))
ports = {p["name"]: p for p in shown["ports"]}
sys.exit(not all(ports[p]["rx_frames"] > 5 and ports[p]["tx_frames"] > 5 for p in ("a0", "a1", "c0", "c1")) or
         any(a["port"] in ("a0", "a1", "b0", "b1", "c0", "c1", "d0", "d1") for a in shown["addresses"]))
PYTHON
# At first its other link may have been up before the primary one.
before=$("$TENON" switch lacp lab show d --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["bonds"][0]["failovers"])')
"$TENON" switch lacp lab set d primary=d1
rig_await 120 grep -q "^READY: DOWN" "$console" || { tail -n 40 "$console"; rig_fail "after a failover"; }
shows 'bonds["d"]["active_link"] == "d1" and bonds["d"]["failovers"] == '$((before + 1))' and bonds["d"]["announced"] >= 1' || rig_fail "$("$TENON" switch lacp lab show --json)"
rig_await 60 shows 'not links["a0"]["carries"] and links["a1"]["carries"]' || rig_fail "$("$TENON" switch lacp lab show)"
"$TENON" switch lacp lab set d primary=d0
rig_await 120 grep -q "^READY: LEAVE" "$console" || { tail -n 40 "$console"; rig_fail "a link that failed"; }
shows 'bonds["d"]["active_link"] == "d0" and bonds["d"]["failovers"] == '$((before + 2))' and links["a0"]["expired"] >= 1' ||
	rig_fail "$("$TENON" switch lacp lab show --json)"
# Not the port: UML does not bear that a device goes.
rig_await 60 shows 'links["a0"]["carries"] and links["a1"]["carries"]' || rig_fail "$("$TENON" switch lacp lab show)"
blocked=$("$TENON" switch show lab --json | python3 -c 'import json, sys; print({p["name"]: p for p in json.load(sys.stdin)["ports"]}["a1"]["drops"].get("blocked", 0))')
"$TENON" switch port set lab a1 bond=none,vlan=99
rig_wait guest || { "$TENON" switch lacp lab show; rig_fail "in the guest"; }
shows 'bonds["a"]["link_count"] == 1' || rig_fail "$("$TENON" switch lacp lab show)"
# Of what came by it nothing ended there: neither as a link that does not carry, nor in VLAN 99, where nobody is. On a host that is so busy that the guest
# did not answer within the second that the switch gives it, this cannot be asked.
late=0
! grep "a1: its partner did not say in time" switch.log || late=1
"$TENON" switch show lab --json | python3 -c '
import json, sys
drops = {p["name"]: p for p in json.load(sys.stdin)["ports"]}["a1"]["drops"]
print("drops at the link that left:", drops)
sys.exit(bool(drops.get("blocked", 0) - int(sys.argv[1]) or drops.get("no_port", 0)))' "$blocked" || [ $late = 1 ] || rig_fail "frames were lost by a link that was taken out"
# As another reads what was said.
if command -v tshark >/dev/null; then
	tshark -r x.pcapng -Y 'lacp' -T fields -e lacp.version -e lacp.tlv_type -e _ws.malformed 2>/dev/null | sort | uniq -c
	[ "$(tshark -r x.pcapng -Y 'lacp && frame.packet_flags_direction == 2' 2>/dev/null | wc -l)" -gt 10 ] || rig_fail "no LACPDUs"
	[ -z "$(tshark -r x.pcapng -Y 'lacp && _ws.malformed' 2>/dev/null)" ] || rig_fail "a LACPDU is malformed"
fi
