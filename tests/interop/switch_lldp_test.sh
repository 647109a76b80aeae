#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# LLDP with lldpd: what each tells the other, and that both say goodbye. And what the user may say.
set -u
. "$(dirname "$0")/switch_lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
command -v lldpd >/dev/null && command -v lldpcli >/dev/null || { echo "lldpd is not installed"; exit 77; }
lab_enter "$@"

ask() { "$TENON" switch lldp lab "$@" >said 2>&1 || lab_fail "switch lldp $*: $(cat said)"; }
theirs() { lldpcli -u /run/lldpd.sock "$@"; }
# Waits until an expression holds, of what the switch (ours: s, and n of its neighbours) or lldpd (theirs: t) knows.
becomes() { # ours|theirs EXPRESSION
	for _ in $(seq 600); do
		if [ "$1" = ours ]; then
			"$TENON" switch lldp lab show --json >shown
		else
			theirs -f json show neighbors details >shown 2>&1
		fi
		python3 - "$2" 2>wrong <<'PYTHON' && return
import json, sys
text = open("shown").read()
s = t = json.loads(text)
n = s.get("neighbours", [])
i = t.get("lldp", {}).get("interface", [])
if isinstance(i, list):
    i = {k: v for each in i for k, v in each.items()}
i = i.get("tapa", {})
sys.exit(0 if eval(sys.argv[1]) else 1)
PYTHON
		sleep 0.1
	done
	lab_fail "line ${BASH_LINENO[0]}: '$2' did not come to be: $(cat shown wrong)"
}

lab_switch lab --port a=tap:tapa,vlan=10 --port b=tap:tapb \
	--lldp mode=both,interval=1,management=10.0.0.9,chassis=02:00:00:00:0a:00
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
# It, and lldpcli, run as a user of their own, which a namespace of one user has not; its socket is where both may go.
mkdir -p /run/lldpd
ip netns exec pa lldpd -d -u /run/lldpd.sock -I tapa -S $'\e[31mnot red\x07' >lldpd.out 2>&1 &
LLDPD=$!
LAB_PIDS+=($LLDPD)
for _ in $(seq 600); do
	theirs show configuration >said 2>&1 && break
	kill -0 $LLDPD 2>/dev/null || lab_skip "lldpd does not run here: $(tail -n 3 lldpd.out)"
	sleep 0.1
done
theirs configure lldp tx-interval 1 >said 2>&1 || lab_fail "lldpcli: $(cat said)"
theirs configure system hostname peer >said 2>&1 || lab_fail "lldpcli: $(cat said)"

# What we tell.
becomes theirs '"lab" in i["chassis"]'
becomes theirs 'i["chassis"]["lab"]["id"] == {"type": "mac", "value": "02:00:00:00:0a:00"} and i["port"]["id"] == {"type": "ifname", "value": "a"}'
becomes theirs 'i["port"]["ttl"] == "5" and i["chassis"]["lab"]["mgmt-ip"] == "10.0.0.9" and i["chassis"]["lab"]["descr"] == "tenon switch"'
becomes theirs 'i["chassis"]["lab"]["capability"] == {"type": "Bridge", "enabled": True} and i["vlan"]["vlan-id"] == "10" and i["vlan"]["pvid"]'
ask set a description='rack 7, left'
becomes theirs 'i["port"]["descr"] == "rack 7, left"'

# What we hear; the mac of the port is that of the interface.
mac=$(ip netns exec pa cat /sys/class/net/tapa/address)
becomes ours "len(n) == 1 and n[0]['port'] == 'a' and n[0]['system_name'] == 'peer' and n[0]['port_id'] == '$mac' and n[0]['port_id_kind'] == 'mac'"
becomes ours "n[0]['ttl_seconds'] == 4 and n[0]['port_description'] == 'tapa' and '10.0.0.1' == n[0]['management_address'] and 'station' in n[0]['enabled_capabilities']"
# Its text comes to no terminal as it is.
becomes ours "n[0]['system_description'] == r'\\x1b[31mnot red\\x07'"
"$TENON" switch lldp lab show >said || lab_fail "$(cat said)"
grep -q "peer.*$mac" said || lab_fail "the listing: $(cat said)"
grep -q '^a  *[a-z]* (default) .*rack 7, left' said || lab_fail "the mode and the description: $(cat said)"
LC_ALL=C grep -q $'[\e\a]' said && lab_fail "the listing is not clean"
becomes ours 'sum(p["errors"] + p["discarded"] + p["tlvs_discarded"] for p in s["lldp_ports"]) == 0'
"$TENON" switch counters lab --prometheus | grep -q '^tenon_switch_lldp_events_total{switch="lab",port="a",event="received"} [1-9]' ||
	lab_fail "no metrics: $("$TENON" switch counters lab --prometheus | grep lldp)"

# A link of a bond says so.
"$TENON" switch lacp lab add bo mode=static && "$TENON" switch port set lab a vlan=none,bond=bo || lab_fail "a bond"
becomes theirs 'int(i["port"]["aggregation"]) > 0'
"$TENON" switch port set lab a bond=none,vlan=10 || lab_fail "no bond"
becomes theirs '"aggregation" not in i["port"]'

# Goodbyes: far sooner than the TTL, which is made long.
ask set hold=100 interval=30
becomes theirs 'i["port"]["ttl"] == "3001"'
ask set a mode=receive
becomes theirs 'not i'
ask set a mode=default
becomes theirs 'i["port"]["ttl"] == "3001"'
theirs configure lldp tx-hold 1000 >said 2>&1 || lab_fail "lldpcli: $(cat said)"
becomes ours "n[0]['ttl_seconds'] == 1000"
# With the TTL of 4 s before, it may have been late on a busy machine.
aged=$(python3 -c 'import json; print(sum(p["aged"] for p in json.load(open("shown"))["lldp_ports"]))')
kill -TERM $LLDPD
becomes ours "not n and sum(p['aged'] for p in s['lldp_ports']) == $aged"

# What cannot be.
refused() { # TEXT ARGUMENT...
	local text=$1
	shift
	"$TENON" switch "$@" >said 2>&1 && lab_fail "switch $* was done"
	grep -qF -- "$text" said || lab_fail "switch $*: expected '$text': $(cat said)"
}
refused 'expected both, send, receive or off' lldp lab set mode=maybe
refused 'there is none of that name' lldp lab set z mode=both
refused '"set" with 1 word behind it: expected show or set [PORT] KEY=VALUE...' lldp lab set a
refused '"set" alone: expected show or' lldp lab set
refused 'remove a in: which rule: expected --position N' filter lab remove a in
refused 'port a: rule 3: there are no rules' filter lab remove a in --position 3
refused 'expected mode= or description=' lldp lab set a interval=5
refused 'expected both, send, receive or off' run other --lldp mode=yes
refused 'UTF-8' lldp lab set name=$'\xff'
lab_end || lab_fail "the switch ended with $?"
lab_done
