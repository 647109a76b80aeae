#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A switch as a file: what it writes of itself makes the same one again; wrong files make none.
. "$(dirname "$0")/switch_lib.sh"
methods=$(sed -n 's/^\t{ "\(switch\.[a-z.]*\)", .*/\1/p' "$(dirname "$0")/../../tools/switch_control.c" | grep -v '\.stop$')
lab_enter "$@"
cat >wanted.json <<'JSON'
{"threads": 2, "ageing": 20, "seed": 9223372036854775807, "reserved": "lldp=flood",
 "ports": ["a=vhost-user,vlan=10", "b=vhost-user,trunk=10+20-29", "m=qemu-stream:m.sock", "t=vxlan:remote=127.0.0.2,local=127.0.0.1,vni=7,isolate=3"],
 "addresses": [{"address": "02:00:00:00:00:01", "vlan": 10, "port": "b"}],
 "rules": [{"port": "a", "direction": "in", "expression": "udp port 67", "action": "drop"},
           {"port": "a", "direction": "in", "expression": "", "action": "mark=dscp:46,rate=10M"}],
 "mirrors": [{"mirror": "x", "to": "m", "sources": ["a:in", "b"], "vlans": "10"}],
 "links": [{"port": "b", "direction": "in", "words": ["queue=1s"], "trace": "1\n1\n20\n", "trace_file": "t.up"},
	{"port": "b", "direction": "out", "words": ["delay=20ms", "jitter=2ms,table=t.dist", "loss=1%"], "table": "-8192\n0\n8192\n", "table_file": "t.dist"}],
 "stp": [{"words": ["mode=rstp", "priority=4096"]}],
 "igmp": [{"words": ["querier=on", "address=10.0.0.1"]}, {"words": ["router=always"], "port": "b"}],
 "lldp": [{"words": ["mode=send", "description=one, two"]}, {"words": ["mode=off"], "port": "a"}],
 "schedules": [{"port": "t", "file": "flaps", "text": "at 1h\nport t down\n"}],
 "capture": "all.pcapng"}
JSON
lab_switch lab --config wanted.json
"$TENON" switch port set lab a vlan=11 broadcast=100 || lab_fail "port set"
"$TENON" switch port add lab late=vhost-user || lab_fail "port add"
"$TENON" switch mirror lab add y late --to t || lab_fail "mirror add"
"$TENON" switch filter lab add b in 'ip' mirror=late || lab_fail "filter add"
"$TENON" switch igmp lab set late groups=5 || lab_fail "igmp set"
"$TENON" switch stp lab set hello=1 priority=8192 || lab_fail "stp set"
printf 'at 1h\nport late,a down\n' >gone
"$TENON" link schedule lab late gone || lab_fail "link schedule"
"$TENON" switch port remove lab late || lab_fail "port remove"
"$TENON" switch port set lab a police-in=1M/100K shape-out=2M/64k || lab_fail "port set"
"$TENON" switch table flush lab $'\xff' 2>err && lab_fail "all was flushed for one that is none"
grep -q 'expected text in UTF-8' err || lab_fail "$(cat err)"
"$TENON" switch show lab --config >first.json
lab_end || lab_fail "the switch ended with $?"
mkdir elsewhere
cd elsewhere
lab_switch lab --config ../first.json --force
"$TENON" switch show lab --config >../second.json
"$TENON" switch filter lab list | grep -q 'mark=dscp:46,rate=10M' || lab_fail "$("$TENON" switch filter lab list)"
"$TENON" switch mirror lab list | grep -q '^y  *up  *t ' || lab_fail "$("$TENON" switch mirror lab list)"
# The switch's name alone shows or lists.
bare_is() { # WORD... -- WORD...
	local words=()
	while [ "$1" != -- ]; do words+=("$1"); shift; done
	shift
	"$TENON" switch "$@" >want || lab_fail "switch $*"
	"$TENON" switch "${words[@]}" >got && [ "$(sed 's/[0-9]//g' got)" = "$(sed 's/[0-9]//g' want)" ] || lab_fail "switch ${words[*]}: $(cat got)"
}
bare_is table lab -- table list lab
bare_is port lab -- port list lab
for verb in vlan stp igmp lldp lacp dhcp; do bare_is $verb lab -- $verb lab show; done
for verb in filter mirror; do bare_is $verb lab -- $verb lab list; done
bare_is table lab --json -- table list lab --json
for verb in table port; do
	"$TENON" switch $verb list 2>err && lab_fail "$verb list of nothing"
	grep -q '"list" alone: expected .*list NAME' err || lab_fail "$(cat err)"
done
"$TENON" switch table nosuch 2>err && lab_fail "a switch that is not there"
grep -q 'switch nosuch: none of that name is running' err || lab_fail "$(cat err)"
"$TENON" switch stp lab show | grep -q '8192' || lab_fail "$("$TENON" switch stp lab show)"
"$TENON" link schedule lab t show | grep -q flaps || lab_fail "$("$TENON" link schedule lab t show)"
"$TENON" link schedule lab a show | grep -q gone || lab_fail "$("$TENON" link schedule lab a show)"
[ -s ../all.pcapng ] && [ ! -e all.pcapng ] || lab_fail "the capture is elsewhere"
"$TENON" switch mirror lab list | grep -q '^x  *up  *m ' || lab_fail "$("$TENON" switch mirror lab list)"
"$TENON" link show lab b | grep -q 'delay=20ms' || lab_fail "$("$TENON" link show lab b)"
"$TENON" switch port show lab a | grep -q 'vlan=11,broadcast=100' || lab_fail "$("$TENON" switch port show lab a)"
lab_end || lab_fail "the switch ended with $?"
mv switch.out ..
cd ..
vlans=$(seq -s + 1 2 4093)
lab_switch lab --port "a=vhost-user,trunk=$vlans" --port b=vhost-user
"$TENON" switch mirror lab add x a --to b --vlan "$vlans" || lab_fail "mirror add"
"$TENON" switch show lab --config >long.json
[ "$(grep -c "[=\"]$vlans\"" long.json)" = 2 ] || lab_fail "a long list of VLANs was cut"
lab_end || lab_fail "the switch ended with $?"
# A bond that is younger than its link; what is refused changes nothing.
lab_switch lab --port l0=vhost-user,police-in=1M/100K --port x=vhost-user
"$TENON" switch lacp lab add b mode=static vlan=7 key=9 || lab_fail "lacp add"
"$TENON" switch port set lab l0 bond=b shape-in=3M || lab_fail "port set"
"$TENON" switch mirror lab add m x --to b || lab_fail "mirror add"
"$TENON" switch port set lab l0 shape-in=4M vlan=3 2>err && lab_fail "a VLAN of a link's own"
"$TENON" switch port set lab b vlan=8 shape-in=4M 2>err && lab_fail "a bond's shaper"
grep -q 'for each of its links' err || lab_fail "$(cat err)"
# Frames to reserved addresses, for the whole switch; nothing of what is wrong.
[ "$("$TENON" switch reserved lab)" = none ] || lab_fail "nothing was chosen: $("$TENON" switch reserved lab)"
[ "$("$TENON" switch reserved lab stp=flood,02=drop)" = 02=drop,stp=flood ] || lab_fail "reserved: $("$TENON" switch reserved lab)"
"$TENON" switch reserved lab lldp=flood,stp=eat 2>err && lab_fail "a choice that there is none of"
"$TENON" switch stp lab set 2>err && lab_fail "a tree that hears nothing"
grep -q 'switch lab: reserved: BPDUs .* flooded' err && grep -q 'stp=handle' err || lab_fail "$(cat err)"
"$TENON" switch reserved lab 02=none,lldp=flood >/dev/null || lab_fail "reserved"
[ "$("$TENON" switch reserved lab)" = stp=flood,lldp=flood ] || lab_fail "reserved: $("$TENON" switch reserved lab)"
# VLANs of ports, and nothing else of them.
"$TENON" switch port add lab v=bond,vlan=5 && "$TENON" switch vlan lab show v | grep -q '^v *access *5 ' || lab_fail "$("$TENON" switch vlan lab)"
"$TENON" switch vlan lab set v vlan=none trunk=10+20-29,native=7,tag-type=802.1ad || lab_fail "vlan set"
[ "$("$TENON" switch vlan lab show v -H -o PORT,KIND,UNTAGGED,TAGGED,TAGS | tr '\t' ' ')" = 'v trunk 7 10+20-29 802.1ad' ] || lab_fail "$("$TENON" switch vlan lab)"
"$TENON" switch vlan lab set v trunk=none,dot1q-tunnel=9,tag-type=none || lab_fail "vlan set"
[ "$("$TENON" switch vlan lab show v -H -o KIND,UNTAGGED,TAGGED | tr '\t' ' ')" = 'tunnel 9 -' ] || lab_fail "$("$TENON" switch vlan lab)"
"$TENON" switch vlan lab set v cvlans=0+7-9 || lab_fail "vlan set"
[ "$("$TENON" switch vlan lab show v -H -o KIND,UNTAGGED,TAGGED | tr '\t' ' ')" = 'tunnel 9 0+7-9' ] || lab_fail "$("$TENON" switch vlan lab)"
"$TENON" switch vlan lab set v dot1q-tunnel=none || lab_fail "vlan set"
[ "$("$TENON" switch vlan lab show v -H -o KIND,TAGGED | tr '\t' ' ')" = 'any all' ] || lab_fail "$("$TENON" switch vlan lab)"
for words in vlan=1,trunk=5 "trunk=5 vlan=1" dot1q-tunnel=2,trunk=none vlan=3,vlan=4; do
	# shellcheck disable=SC2086
	"$TENON" switch vlan lab set v $words 2>err && lab_fail "$words"
	grep -q 'a port is one of' err || lab_fail "$words: $(cat err)"
	"$TENON" switch port add lab w=bond,${words// /,} 2>err && lab_fail "w with $words"
	grep -q 'a port is one of' err || lab_fail "w with $words: $(cat err)"
done
[ "$("$TENON" switch vlan lab show v -H -o KIND,TAGGED | tr '\t' ' ')" = 'any all' ] || lab_fail "$("$TENON" switch vlan lab)"
"$TENON" switch vlan lab set v isolate=3 2>err; [ $? = 2 ] && grep -q 'expected vlan=' err || lab_fail "isolate by vlan: $(cat err)"
"$TENON" switch vlan lab set nobody vlan=3 2>err && lab_fail "a port that there is none of"
"$TENON" switch vlan lab show nobody 2>err; [ $? = 1 ] && grep -q 'none of that name' err || lab_fail "$(cat err)"
"$TENON" switch port remove lab v || lab_fail "port remove"
# Requests that lack what they are about, or have it of another kind: each is answered.
# shellcheck disable=SC2086 # one word a method
python3 - "$(find "$TENON_RUNTIME_DIR" -name 'switch-lab.sock')" $methods <<'PYTHON' || lab_fail "a request that is not whole: $(cat switch.out)"
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
file = s.makefile("rw")
assert len(sys.argv) > 20, sys.argv
for method in sys.argv[2:]:
    for params in None, {}, [], "x", {"port": 1}, {"words": []}, {"port": None, "words": [7]}, {"port": "nobody", "words": "x"}, {"port": "x", "direction": 1}:
        request = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params is not None:
            request["params"] = params
        file.write(json.dumps(request) + "\n")
        file.flush()
        answer = json.loads(file.readline())
        assert "result" in answer or answer["error"]["message"], (request, answer)
PYTHON
"$TENON" switch show lab --config >bond.json
grep -q '"reserved": "stp=flood,lldp=flood"' bond.json || lab_fail "$(cat bond.json)"
grep -q '"rate=3000000"' bond.json && grep -q '"b=bond,vlan=7,bond-mode=static,bond-key=9"' bond.json || lab_fail "$(cat bond.json)"
lab_end || lab_fail "the switch ended with $?"
lab_switch lab --config bond.json
"$TENON" switch show lab --config | cmp - bond.json || lab_fail "the bond is not the same"
lab_end || lab_fail "the switch ended with $?"
cmp first.json second.json || { lab_fail "it is not the same"; diff first.json second.json; }
python3 - <<'PYTHON' || lab_fail "the file is not what was wanted"
import json
got, wanted = json.load(open("first.json")), json.load(open("wanted.json"))
wanted["schedules"].insert(0, {"port": "late", "file": "gone", "text": "at 1h\nport late,a down\n", "absent": True})
for key in "threads", "ageing", "seed", "reserved", "addresses", "lldp", "igmp", "schedules":
    assert got[key] == wanted[key], (key, got[key])
assert got["stp"] == [{"words": ["mode=rstp", "priority=8192", "hello=1"]}], got["stp"]
assert got["rules"][:2] == wanted["rules"] and got["rules"][2]["absent"] is True, got["rules"]
assert [mirror.get("absent") for mirror in got["mirrors"]] == [None, True], got["mirrors"]
assert len(got["ports"]) == 4 and got["ports"][0] == "a=vhost-user,vlan=11,broadcast=100,police-in=1M/100K", got["ports"]
assert got["ports"][2].endswith("/m.sock") and "=qemu-stream:/" in got["ports"][2], got["ports"]
shaper = {"port": "a", "direction": "out", "words": ["rate=2000000", "burst=64000"]}
assert got["links"] == [shaper] + wanted["links"], got["links"]
PYTHON

# ---- Files that are wrong ----
refused() { # WHAT JSON
	echo "$2" >bad.json
	timeout 60 "$TENON" switch run bad --socket-dir "$LAB" --config bad.json >bad.out 2>&1
	local status=$?
	[ $status != 0 ] && [ $status != 124 ] || lab_fail "$2: $status"
	grep -q -- "$1" bad.out && ! grep -q ready bad.out || lab_fail "$2: $(cat bad.out)"
	[ ! -e "$LAB/z.sock" ] && ! ip link show tz >/dev/null 2>&1 || lab_fail "$2: something of it is left"
}
refused 'line [12], column' '{"ports": ["z=vhost-user"'
refused 'key "prots"' '{"prots": ["z=vhost-user"]}'
refused 'ports\[0\]' '{"ports": [7]}'
refused 'ports: expected a list' '{"ports": "z=vhost-user"}'
refused 'port z=nosuch' '{"ports": ["z=nosuch"]}'
refused 'threads: 100' '{"threads": 100}'
refused 'rules\[0\].*expected allow' '{"ports": ["z=tap:tz"], "rules": [{"port": "z", "direction": "in", "expression": "", "action": "eat"}]}'
refused 'rules\[0\].*syntax' '{"ports": ["z=tap:tz"], "rules": [{"port": "z", "direction": "in", "expression": "tcp udp (", "action": "drop"}]}'
refused 'links\[0\]: trace t: line 2' '{"ports": ["z=tap:tz"], "links": [{"port": "z", "direction": "in", "words": [], "trace": "7\n6\n", "trace_file": "t"}]}'
refused 'stp\[0\]: .*reserved: BPDUs .* flooded' '{"reserved": "stp=flood", "stp": [{"words": ["priority=4096"]}]}'
refused 'stp\[0\]: .*port a: reserved: BPDUs .* dropped' '{"ports": ["a=vde:a.vde,reserved=stp:drop"], "stp": [{"words": ["priority=4096"]}]}'
refused 'stp\[0\].*priority' '{"stp": [{"words": ["priority=7"]}]}'
refused 'igmp\[0\].*router=' '{"igmp": [{"words": ["router=sometimes"], "port": "z"}]}'
refused 'lldp\[0\].*expected mode=' '{"lldp": [{"words": ["mood=good"]}]}'
refused 'schedules\[0\].*trace=n: this file' '{"ports": ["z=tap:tz"], "schedules": [{"port": "z", "file": "f", "text": "set trace=n", "traces": {"m": "1"}}]}'
refused 'traces: expected an object' '{"ports": ["z=tap:tz"], "schedules": [{"port": "z", "file": "f", "text": "down", "traces": "m"}]}'
refused 'schedules\[0\].*line 1' '{"ports": ["z=tap:tz"], "schedules": [{"port": "z", "file": "f", "text": "sometime\\n"}]}'
refused 'links\[0\]' '{"ports": ["z=tap:tz"], "links": [{"port": "z", "direction": "in", "words": ["delay=long"]}]}'
refused 'links\[0\].*words: expected a list' '{"ports": ["z=tap:tz"], "links": [{"port": "z", "direction": "in", "words": "delay=1s"}]}'
refused 'mirrors\[0\].*sources: expected a list' '{"ports": ["z=tap:tz"], "mirrors": [{"mirror": "x", "to": "z", "sources": "y:in"}]}'
refused 'mirrors\[0\].*shared: expected true' '{"ports": ["z=tap:tz"], "mirrors": [{"mirror": "x", "to": "z", "shared": 1}]}'
refused 'addresses\[0\].*vlan: expected a number' '{"ports": ["z=tap:tz"], "addresses": [{"address": "02:00:00:00:00:01", "port": "z", "vlan": "10"}]}'
refused 'addresses\[0\].*key "mac"' '{"addresses": [{"mac": "02:00:00:00:00:01"}]}'
refused 'captures\[0\].*file "-": expected' '{"ports": ["z=tap:tz"], "captures": [{"file": "-"}]}'
refused 'captures\[0\].*file' '{"ports": ["z=tap:tz"], "captures": [{"port": "z"}]}'
refused 'captures\[1\].*syntax' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap"}, {"file": "y.pcap", "expression": "tcp udp ("}]}'
refused 'captures\[0\].*it needs rotate_size' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap", "files": 3}]}'
refused 'rotate_size: 7: expected a number from 65536' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap", "rotate_size": 7}]}'
refused 'segments: expected true' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap", "segments": 1}]}'
refused 'expected in, out or both' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap", "direction": "up"}]}'
[ ! -e z.pcap ] || lab_fail "a capture of what was refused"
refused 'captures\[0\].*port y' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap", "port": "y"}]}'
[ ! -e z.pcap ] || lab_fail "a capture of what was refused"
refused 'rules\[0\].*port y' '{"ports": ["z=tap:tz"], "rules": [{"port": "y", "direction": "in", "expression": "", "action": "drop"}]}'
refused 'mirrors\[0\]' '{"ports": ["z=tap:tz"], "mirrors": [{"mirror": "x", "to": "z", "sources": ["z"]}]}'
refused 'mirrors\[0\].*not to both' '{"ports": ["z=tap:tz"], "mirrors": [{"mirror": "x", "to": "z", "to_vlan": 5}]}'
refused 'snaplen: -5: expected' '{"ports": ["z=tap:tz"], "captures": [{"file": "z.pcap", "snaplen": -5}]}'
for wrong in '.: cannot read: Is a directory' 'nosuch: cannot open: No such file'; do
	timeout 60 "$TENON" switch run bad --config "${wrong%%:*}" >bad.out 2>&1
	[ $? = 2 ] && grep -qF -- "--config: $wrong" bad.out || lab_fail "$wrong: $(cat bad.out)"
done
timeout 60 "$TENON" switch run bad --config nosuch.json >bad.out 2>&1 && lab_fail "a file that is not there"
grep -q 'nosuch.json' bad.out || lab_fail "$(cat bad.out)"
lab_done
