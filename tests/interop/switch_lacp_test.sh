#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bonds of the switch with Open vSwitch's at the other end (its userspace datapath, over veths): LACP active and passive, fast and slow,
# and active-backup. Both ends come to the same, traffic goes over them, a cable that is cut and one that loses all unseen are done
# without, and a link that is taken out, live, loses nothing.
set -u
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_ovs.sh"
lab_enter "$@"
command -v ovs-vswitchd >/dev/null || lab_skip "openvswitch-switch is not installed"
command -v busybox >/dev/null || lab_skip "busybox is not installed"

ovs_start

for i in 1 2 3 4 5; do
	ip link add "o$i" type veth peer name "w$i"
	ip link set "o$i" up; ip link set "w$i" up
done
# A station behind their bridge, another one behind ours.
vsctl add-br br -- set bridge br datapath_type=netdev \
	-- add-bond br slb w1 w2 lacp=active bond_mode=balance-slb other_config:lacp-time=fast \
	-- add-bond br backup w3 w4 bond_mode=active-backup tag=7 -- add-port br w5 || lab_fail "Open vSwitch's bonds"
lab_switch lab --threads 2 --port h=tap:host0 --port a=bond,bond-rate=fast,bond-lacp=passive \
	--port a1=packet:o1,bond=a --port a2=packet:o2,bond=a
lab_host here host0 10.0.0.1/24
lab_host there o5 10.0.0.2/24

until_ours() { # EXPRESSION over bonds, links
	echo "$SECONDS s: $1"
	for _ in $(seq 600); do
		"$TENON" switch lacp lab show --json >ours.json && python3 - "$1" <<'PYTHON' && return
import json, sys
s = json.load(open("ours.json"))
bonds = {b["bond"]: b for b in s["bonds"]}
links = {l["port"]: l for l in s["bond_links"]}
sys.exit(not eval(sys.argv[1]))
PYTHON
		sleep 0.1
	done
	"$TENON" switch lacp lab show; ovs_ask lacp/show; ovs_ask bond/show
	lab_fail "$1"
}
until_theirs() { # PATTERN COMMAND...
	echo "$SECONDS s: $*"
	local pattern=$1
	shift
	for _ in $(seq 600); do ovs_ask "$@" 2>/dev/null | tr '\n' ' ' | grep -Eq "$pattern" && return; sleep 0.1; done
	ovs_ask "$@"
	lab_fail "not seen at Open vSwitch: $pattern"
}
pings() { # COUNT INTERVAL: none is lost
	ip netns exec here busybox ping -q -c "$1" -i "$2" -W 5 10.0.0.2 >pinged; tail -n 2 pinged | head -n 1
	grep -q " $1 packets received" pinged
}
reach() { for _ in $(seq 15); do pings 2 0.2 >/dev/null && return; done; lab_fail "the station there is not reached: $1"; }

# ---- Both come to terms ----
until_ours 'bonds["a"]["state"] == "up" and all(l["carries"] and l["mux_state"] == "distributing" for l in links.values())'
until_theirs 'w1: current attached.*w2: current attached' lacp/show slb
until_theirs 'lacp_status: negotiated.*member w1: enabled.*member w2: enabled' bond/show slb
until_ours 'bonds["a"]["partner_system"] and links["a1"]["partner_key"] == links["a2"]["partner_key"] and "activity" in " ".join(links["a1"]["partner_states"])'
ovs_ask lacp/show slb | grep -q "partner sys_id: $(python3 -c 'import json; print(json.load(open("ours.json"))["bonds"][0]["system"])')" || lab_fail "our system there: $(ovs_ask lacp/show slb)"
reach "at first"

# ---- A cable is cut, and comes back; another one loses all, and nobody sees it ----
ip link set o1 down
until_ours 'not links["a1"]["carries"] and links["a2"]["carries"]'
until_theirs 'member w1: disabled.*member w2: enabled' bond/show slb
reach "by one cable"
ip link set o1 up
until_ours 'links["a1"]["carries"] and links["a2"]["carries"]'
"$TENON" link set lab a2 --loss 100% || lab_fail "link set"
until_ours 'links["a1"]["carries"] and not links["a2"]["carries"] and links["a2"]["expired"] > 0'
until_theirs 'member w1: enabled.*member w2: disabled' bond/show slb
reach "by the cable that loses nothing"
"$TENON" link clear lab a2
until_ours 'links["a1"]["carries"] and links["a2"]["carries"]'
until_theirs 'member w1: enabled.*member w2: enabled' bond/show slb

# ---- One is taken out, live, whichever frames leave by ----
# Questions and answers until a file of that name is there, 32 at a time on their way, which any buffer holds however late its reader is: each is answered.
cat >exchange.py <<'PYTHON'
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 11, 1) # SO_NO_CHECK: Open vSwitch's datapath does not finish what a veth leaves to its hardware
if sys.argv[1] == "answer":
    s.bind(("10.0.0.2", 7007))
    open("answers", "w").close()
    while True:
        s.sendto(*s.recvfrom(100))
s.connect(("10.0.0.2", 7007))
s.settimeout(60)
number, waiting = 0, set()
try:
    while not os.path.exists(sys.argv[1]) or waiting:
        while len(waiting) < 32 and not os.path.exists(sys.argv[1]):
            s.send(b"%d" % number)
            waiting.add(number)
            number += 1
        waiting.discard(int(s.recv(100)))
        open("asks", "w").close()
except TimeoutError:
    sys.exit(f"{len(waiting)} of {number} were not answered")
print(number, "exchanged")
PYTHON
lab_background ip netns exec there python3 exchange.py answer
for _ in $(seq 1200); do [ -e answers ] && break; sleep 0.05; done
# A machine that is late loses no link by that (in three seconds it would), nor a neighbour.
vsctl set port slb other_config:lacp-time=slow && "$TENON" switch lacp lab set a rate=slow || lab_fail "slow"
until_ours 'bonds["a"]["carrying"] == 2 and all("short_timeout" not in l["partner_states"] + l["actor_states"] for l in links.values())'
ip -n here neigh replace 10.0.0.2 dev host0 nud permanent lladdr "$(ip netns exec there cat /sys/class/net/o5/address)"
ip -n there neigh replace 10.0.0.1 dev o5 nud permanent lladdr "$(ip netns exec here cat /sys/class/net/host0/address)"
for link in a1 a2; do
	reach "before $link leaves"
	rm -f asks
	ip netns exec here python3 exchange.py "gone-$link" &
	exchange=$!
	LAB_PIDS+=($exchange)
	for _ in $(seq 1200); do [ -e asks ] && break; sleep 0.05; done
	"$TENON" switch port set lab $link bond=none,vlan=99 || lab_fail "$link: bond=none"
	touch "gone-$link"
	wait $exchange || lab_fail "frames were lost when $link was taken out"
	until_ours '"'$link'" not in links and bonds["a"]["carrying"] == 1'
	"$TENON" switch port set lab $link vlan=none,bond=a || lab_fail "$link: bond=a"
	until_ours 'bonds["a"]["carrying"] == 2'
done
vsctl set port slb other_config:lacp-time=fast && "$TENON" switch lacp lab set a rate=fast || lab_fail "fast"
until_ours 'bonds["a"]["carrying"] == 2 and all("short_timeout" in l["partner_states"] for l in links.values())'

# ---- The partner has stopped: two removals wait for it, and a port of the same name comes between them ----
stop_process "$(cat vs.pid)"
python3 - "$(find "$TENON_RUNTIME_DIR" -name 'switch-lab.sock')" <<'PYTHON' || lab_fail "removals of one port that meet"
import json, socket, sys, threading, time
def send(method, **params):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(sys.argv[1])
    lines = s.makefile("rw")
    lines.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
    lines.flush()
    return s, lines
def answer(sent):
    return json.loads(sent[1].readline()).get("error")
first = send("switch.port.remove", port="a1")
time.sleep(0.3)
# What became of the second is told after the new port has come.
second = send("switch.port.remove", port="a1")
# So many ask that one does in the moment in which there is none.
adder = send("switch.port.add", spec="a1=packet:o1,bond=a")
line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "switch.port.add", "params": {"spec": "a1=packet:o1,bond=a"}}) + "\n"
def ask():
    try:
        while not added:
            adder[0].sendall(line.encode() * 100)
    except OSError:
        pass
added = []
threading.Thread(target=ask, daemon=True).start()
while refused := answer(adder):
    assert "already" in refused["message"], refused
added.append(True)
assert not answer(first)
refused = answer(second)
assert refused and "none of that name" in refused["message"], refused
PYTHON
kill -CONT "$(cat vs.pid)"
until_ours 'bonds["a"]["carrying"] == 2'

# ---- Slow, by another key; then nobody speaks there ----
vsctl set port slb other_config:lacp-time=slow lacp=passive
"$TENON" switch lacp lab set a lacp=active key=77 || lab_fail "lacp set"
until_ours 'bonds["a"]["carrying"] == 2 and all("short_timeout" not in l["partner_states"] for l in links.values())'
until_theirs 'partner key: 77' lacp/show slb
reach "slowly"
vsctl set port slb lacp=off
"$TENON" switch lacp lab set a mode=static || lab_fail "lacp set"
until_ours 'bonds["a"]["carrying"] == 2'
reach "without LACP"

# ---- Active and backup ----
for i in 3 4; do "$TENON" switch port add lab "b$i=packet:o$i,vlan=99" || lab_fail "port add"; done
"$TENON" switch lacp lab add b mode=active-backup vlan=8 && "$TENON" switch port set lab b3 vlan=none,bond=b && "$TENON" switch port set lab b4 vlan=none,bond=b &&
	"$TENON" switch lacp lab set b primary=b3 || lab_fail "the second bond"
until_ours 'bonds["b"]["active_link"] == "b3"'
"$TENON" switch lacp lab set b primary=nosuch 2>refused && lab_fail "a primary link that there is none of was taken"
grep -q "no port of that name" refused || { cat refused; lab_fail "what is said of it"; }
until_ours 'bonds["b"]["primary"] == "b3"'
ip link set o3 down
until_ours 'bonds["b"]["active_link"] == "b4" and bonds["b"]["failovers"] == 1'
until_theirs 'member w3: disabled.*member w4: enabled.*active member' bond/show backup
lab_end || lab_fail "the switch's end"
# A primary link that there is none of may come later; it is said.
lab_switch lab --port a=bond,bond-mode=active-backup,bond-primary=nosuch --port a1=packet:o1,bond=a
lab_said "warning: port a: bond-primary=nosuch: it has no link of that name"
lab_end || lab_fail "the switch's end"
lab_switch lab --port a=bond,bond-mode=active-backup,bond-primary=a1 --port a1=packet:o1,bond=a
grep -q "bond-primary" switch.out && lab_fail "a primary link: $(cat switch.out)"
lab_end || lab_fail "the switch's end"
lab_done
