#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon nic`, judged by iproute2, in namespaces of the test's own: TAPs, veth, bridges; what is refused changes nothing.
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
nic() { "$TENON" nic "$@"; }
# One value of `ip -d -j`, as "KEY.KEY".
ask() { ip -d -j address show dev "$1" | python3 -c 'import json, sys
value = [x for x in json.load(sys.stdin) if x][0]
for key in sys.argv[1].split("."):
    value = value.get(key) if isinstance(value, dict) else None
print(value)' "$2"; }
is() { # INTERFACE KEY VALUE
	[ "$(ask "$1" "$2")" = "$3" ] || lab_fail "$1: $2: expected $3, found $(ask "$1" "$2")"
}
refused() { # STATUS WORDS VERB...
	local want=$1 words=$2 before status
	shift 2
	before=$(ip -d address show | sed 's/valid_lft.*//')
	nic "$@" 2>err
	status=$?
	[ $status = "$want" ] && grep -q -- "$words" err || lab_fail "nic $*: $status, $(cat err)"
	[ "$(ip -d address show | sed 's/valid_lft.*//')" = "$before" ] || lab_fail "nic $*: something was changed"
}

# ---- TAPs ----
nic create t0 >out || lab_fail "create t0"
grep -q '^t0: virtio-net header of 12 bytes, offloads: csum tso4 tso6 ecn' out || lab_fail "$(cat out)"
is t0 linkinfo.info_kind tun
is t0 linkinfo.info_data.type tap
is t0 linkinfo.info_data.persist True
is t0 linkinfo.info_data.multi_queue False
is t0 linkinfo.info_data.vnet_hdr True
nic create t1 --multi-queue --owner root --group 0 --mac 02:00:00:00:00:11 --mtu 9000 --up --address 10.1.0.1/24 \
	--address fd01::1/64 >/dev/null || lab_fail "create t1"
is t1 linkinfo.info_data.multi_queue True
is t1 mtu 9000
is t1 address 02:00:00:00:00:11
ip -j address show dev t1 | grep -q '"10.1.0.1"' && ip -j address show dev t1 | grep -q '"fd01::1"' || lab_fail "addresses: $(ip address show dev t1)"
ip link show dev t1 | grep -q '[<,]UP[,>]' || lab_fail "t1 is not up"
nic show t1 --json >out
python3 - <<'PYTHON' || lab_fail "show: $(cat out)"
import json
nic = json.load(open("out"))
assert nic["type"] == "tap" and nic["mtu"] == 9000 and nic["mac"] == "02:00:00:00:00:11"
assert set(nic["ip_addresses"]) >= {"10.1.0.1/24", "fd01::1/64"}
assert nic["tap"] == {"persistent": True, "multi_queue": True, "virtio_net_header": True, "attached_queues": 0, "owner": "root", "group": "root"}
PYTHON
nic set t1 --mtu 1400 --remove-address 10.1.0.1/24 --address 10.1.0.2/24 --mac 02:00:00:00:00:12 || lab_fail "set t1"
is t1 mtu 1400
is t1 address 02:00:00:00:00:12
ip -j address show dev t1 | grep -q '"10.1.0.1"' && lab_fail "the address is still there"
nic set t1 --down
ip link show dev t1 | grep -q '[<,]UP[,>]' && lab_fail "t1 is not down"
nic set t0 --owner 0 || lab_fail "owner of t0"
nic show t0 | grep -q '^Owner: *root' || lab_fail "$(nic show t0)"
# One that is in use.
lab_switch lab --port a=tap:t0
refused 1 "process $LAB_PID " set t0 --owner 1
lab_end
is t0 linkinfo.info_data.persist True
lab_switch lab --port a=tap:t1
nic show t1 | grep -q '^Attached queues: *1' || lab_fail "$(nic show t1)"
refused 1 'attached to by a process' set t1 --owner 1
lab_end

# ---- veth, bridges, namespaces ----
nic create v0 --type veth --peer v1 --up --mtu 1300 || lab_fail "create v0"
is v0 linkinfo.info_kind veth
nic create br0 --type bridge --up --address 10.2.0.1/24 || lab_fail "create br0"
is br0 linkinfo.info_kind bridge
nic set v0 --bridge br0 && nic create t2 --bridge br0 --up >/dev/null || lab_fail "bridge"
is v0 master br0
is t2 master br0
nic list --json >out
python3 - <<'PYTHON' || lab_fail "list: $(cat out)"
import json, subprocess
nics = {n["name"]: n for n in json.load(open("out"))}
links = {l["ifname"]: l for l in json.loads(subprocess.check_output(["ip", "-j", "address", "show"])) if l}
assert nics.keys() == links.keys()
for name, link in links.items():
    nic = nics[name]
    assert nic["index"] == link["ifindex"] and nic["mtu"] == link["mtu"] and nic["bridge"] == link.get("master"), name
    assert nic["mac"] == (link["address"] if link["link_type"] == "ether" else None), name
    assert sorted(nic["ip_addresses"]) == sorted("%s/%d" % (a["local"], a["prefixlen"]) for a in link["addr_info"]), name
assert nics["v0"]["peer"] == "v1" and nics["v1"]["peer"] == "v0" and nics["br0"]["type"] == "bridge"
PYTHON
# Whoever may make an interface chooses its name: the others are shown all the same.
ip link add name $'h\xff' type veth peer name beside || lab_fail "a hostile name"
nic list --json >out && nic stats >>out && nic show $'h\xff' >>out && nic show beside --json >>out || lab_fail "a hostile name: $(cat out)"
[ "$(grep -c '"name": "h\\\\xff"' out) $(grep -c '"name": "beside"' out) $(grep -c '^h\\xff ' out) $(grep -c '^Name: *h\\xff$' out)" = "1 2 1 1" ] ||
	lab_fail "a hostile name: $(cat out)"
ip link delete beside
nic set v0 --bridge none || lab_fail "out of the bridge"
is v0 master None
ip netns add there
nic set v1 --move-to there || lab_fail "move"
nic set v1 --netns there --address 10.3.0.2/24 --up && nic set v0 --address 10.3.0.1/24 || lab_fail "set there"
busybox ping -c 1 -W 30 10.3.0.2 >/dev/null || lab_fail "no answer from the other namespace"
nic create t3 --netns there >/dev/null && ip -n there link show dev t3 >/dev/null || lab_fail "create there"
nic list --netns there | grep -q '^v1 ' || lab_fail "$(nic list --netns there)"
nic stats v0 --json >out
python3 - <<'PYTHON' || lab_fail "stats: $(cat out)"
import json
[stats] = json.load(open("out"))
assert stats["name"] == "v0" and stats["rx_packets"] >= 1 and stats["tx_bytes"] >= 84 and stats["rx_errors"] == 0
PYTHON
nic set t3 --netns there --up
lab_switch lab --port a=tap:t3,netns=there --port p=packet:v1,netns=/run/netns/there
"$TENON" switch port show lab p | grep -q up && nic show t3 --netns there | grep -q '^State: *up' || lab_fail "$("$TENON" switch port list lab)"
busybox ping -c 3 -W 1 10.3.0.9 >/dev/null # asked for on v0, heard at v1
[ "$(lab_stat p rx_frames)" -ge 1 ] || lab_fail "nothing came in at v1: $(lab_show)"
"$TENON" switch port add lab z=tap:t9,netns=nosuch 2>err && lab_fail "a namespace that is not there was taken"
grep -q 'port z: network namespace nosuch' err || lab_fail "$(cat err)"
lab_end || lab_fail "the switch ended with $?"
nic delete v0 && nic delete br0 && nic delete t2 && nic delete t3 --netns there || lab_fail "delete"
[ "$(nic list -H -o name | sort | tr '\n' ' ')" = 'lo t0 t1 ' ] || lab_fail "left: $(nic list)"

# ---- What cannot be ----
refused 1 't0: there is one of that name already' create t0
grep -q 'tenon nic show t0' err || lab_fail "it is not said what to do: $(cat err)"
refused 1 't0: cannot make a veth pair with it: Object exists' create vx --type veth --peer t0
refused 1 'IPv6 needs an MTU of 1280 or more, and it has 100' create t9 --mtu 100 --address fd00::1/64
ip link add loop0 type bridge
refused 1 'it is a bridge, which is no port of another' set loop0 --bridge loop0
ip link delete loop0
for verb in show stats delete; do
	refused 1 'there is none of that name' $verb nosuch
	grep -q 'tenon nic list' err || lab_fail "$verb: it is not said what to do: $(cat err)"
done
refused 1 'there is none of that name' set nosuch --up
refused 1 'there is none of that name' create t9 --bridge nosuch
refused 1 'expected a bridge' create t9 --bridge t0
refused 1 'only TAP interfaces have an owner' set lo --owner 0
refused 1 'it has no address' set t0 --remove-address 10.9.9.9/24
refused 1 'cannot open /run/netns/nosuch' list --netns nosuch
refused 1 'network namespace ./err: ./err is none' list --netns ./err
mkfifo fifo && refused 1 './fifo is none' list --netns ./fifo # and nobody waits for its writer
nic create rm0 >/dev/null && nic rm rm0 || lab_fail "rm is not understood"
if unshare -rn true 2>/dev/null; then
	unshare -rn "$TENON" nic create t7 --owner 4000000 2>err && lab_fail "an owner who is not there was set"
	grep -q 'mapped into it' err || lab_fail "owner: $(cat err)"
fi
refused 2 'expected tap, veth or bridge' create t9 --type bond
refused 2 '--peer PEER is missing' create t9 --type veth
refused 2 'only a veth has another end' create t9 --peer t8
refused 2 'are about TAP interfaces' create t9 --type bridge --owner root
refused 2 'no user of that name' create t9 --owner nobody-of-that-name
refused 2 'expected an IPv4 or IPv6 address' set t0 --address 10.0.0.1
refused 2 'expected an IPv4 or IPv6 address' set t0 --address 10.0.0.1/33
refused 2 'nothing to set' set t0
refused 2 'expected one of them' set t0 --up --down
refused 2 'no Ethernet address' set t0 --mac 01:00:5e:00:00:01
refused 2 '15' create a-name-that-is-too-long
# Without privileges: who may, and what to do.
if [ "$(id -u)" = 0 ] && setpriv --reuid 65534 --clear-groups --inh-caps=-all true 2>/dev/null; then
	cp "$TENON" "$LAB/tenon" && chmod 755 "$LAB" "$LAB/tenon"
	setpriv --reuid 65534 --clear-groups --inh-caps=-all "$LAB/tenon" nic set t0 --mtu 1000 2>err && lab_fail "it was allowed"
	grep -q 'needs CAP_NET_ADMIN.*unshare -rn.*setcap' <(tr '\n' ' ' <err) || lab_fail "$(cat err)"
fi
lab_done
