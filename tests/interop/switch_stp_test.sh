#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Spanning trees with others: two cables each to Open vSwitch's RSTP, as root and not, and to Linux's bridge, which speaks the
# protocol of 1998. Each pair of cables is a loop that one of the two must open.
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_ovs.sh"
lab_enter "$@"
pair() { # OURS THEIRS
	ip link add "$1" type veth peer name "$2"
	ip link set "$1" up
	ip link set "$2" up
}
# NAME EXPRESSION: waits until it holds of what `stp show` says (t; ports by name: p).
until_tree() {
	for _ in $(seq 600); do
		"$TENON" switch stp "$1" show --json >"tree.$1" 2>said && python3 - "tree.$1" "$2" <<'PYTHON' && return
import json, sys
t = json.load(open(sys.argv[1]))
p = {port["port"]: port for port in t["tree_ports"]}
sys.exit(not eval(sys.argv[2]))
PYTHON
		sleep 0.1
	done
	lab_fail "$1: it never was so: $2: $(cat "tree.$1" said)"
}
until_said() { # PATTERN COMMAND...
	local pattern=$1; shift
	for _ in $(seq 600); do
		"$@" >theirs 2>&1
		tr '\n' ' ' <theirs | grep -qE "$pattern" && return
		sleep 0.1
	done
	lab_fail "$*: it never said $pattern: $(cat theirs)"
}
start() { # NAME WORDS OURS OURS
	lab_switch "$1" --stp "$2" --port "a=packet:$3" --port "b=packet:$4"
}

# ---- Linux: it takes longest, so it begins ----
ip link add br0 type bridge stp_state 1 forward_delay 200 hello_time 100 max_age 600 2>/dev/null && linux=1
if [ -n "${linux:-}" ]; then
	pair l1 m1; pair l2 m2
	ip link set m1 master br0
	ip link set m2 master br0
	ip link set br0 up
	start linux rstp,priority=4096,hello=1,max-age=6,forward-delay=4 l1 l2
fi

# ---- Open vSwitch ----
if command -v ovs-vswitchd >/dev/null; then
	for i in 1 2 3 4; do pair "o$i" "w$i"; done
	ovs_start
	tree() { vsctl add-br "$1" -- set bridge "$1" datapath_type=netdev rstp_enable=true -- add-port "$1" "$2" -- add-port "$1" "$3"; }
	tree ours w1 w2
	tree theirs w3 w4
	# We are the root: their port to our first one is theirs to the root, the other is blocked.
	start ours rstp,priority=4096 o1 o2
	until_said 'w2 +Alternate +Discarding.*w1 +Root +Forwarding|w1 +Root +Forwarding.*w2 +Alternate +Discarding' ovs_ask rstp/show ours
	until_tree ours 't["is_root"] and all(q["state"] == "forwarding" and q["protocol"] == "rstp" for q in p.values())'
	# They are: one of ours is blocked, and takes over when the other's cable is cut.
	start theirs rstp,priority=61440 o3 o4
	until_tree theirs 'not t["is_root"] and sorted(q["tree_role"] for q in p.values()) == ["alternate", "root"]'
	until_tree theirs 'all((q["tree_role"] == "root") == (q["state"] == "forwarding") for q in p.values())'
	root=$(python3 -c 'import json; print(json.load(open("tree.theirs"))["root_port"])')
	[ "$root" = a ] && { cut=o3; left=b; } || { cut=o4; left=a; }
	ip link set "$cut" down
	until_tree theirs "t['root_port'] == '$left' and p['$left']['state'] == 'forwarding'"
	# A port's words: what is cheaper is preferred.
	ip link set "$cut" up
	"$TENON" switch stp theirs port "$root" cost=1 priority=16 || lab_fail "port set"
	until_tree theirs "t['root_port'] == '$root' and p['$root']['cost'] == 1"
	"$TENON" switch port show theirs "$root" | grep -q 'stp-cost=1,stp-priority=16' || lab_fail "settings"
	"$TENON" switch counters theirs --prometheus | grep -q 'tenon_switch_stp_forwarding{switch="theirs",port="a"' || lab_fail "metrics"
fi

if [ -n "${linux:-}" ]; then
	until_tree linux 't["is_root"] and all(q["state"] == "forwarding" and q["protocol"] == "stp" for q in p.values())'
	until_said 'm1.*state forwarding.*m2.*state blocking' bridge link show
fi
[ -n "${linux:-}" ] || command -v ovs-vswitchd >/dev/null || lab_skip "there is neither a bridge in this kernel nor Open vSwitch"

# ---- What cannot be ----
"$TENON" switch run x --stp rstp,max-age=40 2>said && lab_fail "max-age=40 was taken"
grep -q 'max-age=40 with forward-delay=15: expected at most' said || lab_fail "$(cat said)"
"$TENON" switch run plain >plain.out 2>&1 &
LAB_PIDS+=($!)
for _ in $(seq 600); do grep -q ready plain.out && break; sleep 0.1; done
"$TENON" switch stp plain show 2>said && lab_fail "a tree that is none"
grep -q 'part of no spanning tree' said || lab_fail "$(cat said)"
"$TENON" switch stp plain set hello=11 2>said && lab_fail "hello=11"
"$TENON" switch stp plain port x foo=5 2>said && lab_fail "foo=5"
grep -q 'expected stp=, stp-cost=' said || lab_fail "$(cat said)"
"$TENON" switch stp plain port x stp-cost=5 2>said && lab_fail "a port that is none"
grep -q 'there is none of that name' said || lab_fail "$(cat said)"
"$TENON" switch stp plain set hello=1 priority=8192 || lab_fail "set"
"$TENON" switch stp plain show | grep -q '^Bridge: *8192 ' || lab_fail "$("$TENON" switch stp plain show)"
"$TENON" switch stp plain off || lab_fail "off"
"$TENON" switch stp plain show 2>/dev/null && lab_fail "it did not end"
lab_done
