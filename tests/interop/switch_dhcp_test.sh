#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A port `dhcp`: hosts get addresses by DHCP and router advertisements and resolve names, in the segment and beyond it through an
# uplink; leases outlive the server, which ends with the switch, also by kill -9.
. "$(dirname "$0")/switch_lib.sh"
PATH=$PATH:/usr/sbin:/sbin
command -v dnsmasq >/dev/null || lab_skip "dnsmasq is not installed"
lab_enter "$@"

await() { for _ in $(seq 1200); do "$@" && return; sleep 0.05; done; return 1; }
cat >lease <<'SCRIPT'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/24" dev "$interface"
[ -z "$router" ] || ip route replace default via "$router"
echo "$ip|$router|$dns|$domain|$lease|$ntpsrv" >"lease.$interface"
SCRIPT
chmod +x lease
lease() { # NAMESPACE INTERFACE NAME [OPTION...]
	rm -f "lease.$2"
	timeout 100 ip netns exec "$1" busybox udhcpc -i "$2" -n -q -f -t 20 -T 2 -O ntpsrv -x "hostname:$3" -s "$LAB/lease" "${@:4}" >dhcp.log 2>&1 ||
		lab_fail "no lease for $1: $(cat dhcp.log)"
}
resolves() { # NAMESPACE NAME ADDRESS [SERVER]
	# A server that is being started refuses, and is asked again.
	for _ in $(seq 200); do
		timeout 60 ip netns exec "$1" busybox nslookup "$2" "${4:-10.1.0.1}" >names 2>&1
		grep -q "refused\|timed out" names || break
		sleep 0.3
	done
	grep -qE "Address.*[ :]$3\$" names || lab_fail "$1: $2 is not $3: $(cat names)"
}
children() { cat "/proc/$1/task/"*/children; }

spec=d=dhcp:10.1.0.1/24,range=10.1.0.100-10.1.0.119,lease=2h,domain=lab.test,host=02:00:00:00:00:01/10.1.0.10/web
spec+=,name=printer.lab.test/10.1.0.9,option=42:10.1.0.7+10.1.0.8,ipv6=fd00:1::1/64,leases=kept
# What a name has is nobody's lease, whoever asks for it.
spec+=,name=held.lab.test/10.1.0.105
lab_switch lab --port a=tap:ta --port b=tap:tb --port "$spec"
ip link set ta address 02:00:00:00:00:01
lab_host a ta
lab_host b tb
lease a ta a
lease b tb "guest-b" -r 10.1.0.105
[ "$(cat lease.ta)" = "10.1.0.10||10.1.0.1|lab.test|7200|10.1.0.7 10.1.0.8" ] || lab_fail "lease of a: $(cat lease.ta)"
grep -qE '^10\.1\.0\.1[01][0-9]\|\|10\.1\.0\.1\|lab\.test\|7200\|' lease.tb || lab_fail "lease of b: $(cat lease.tb)"
b=$(cut -d'|' -f1 lease.tb)
[ "$b" != 10.1.0.105 ] || lab_fail "b has the address of a name"
for host in a b; do
	resolves $host web.lab.test 10.1.0.10
	resolves $host guest-b.lab.test "$b"
	resolves $host printer.lab.test 10.1.0.9
done
# What the segment leads nowhere for is no route of anybody's; addresses of IPv6 come by themselves.
has_address() { ip -n a -6 address show dev ta scope global | grep -q ' fd00:1::ff:fe00:1/64 '; }
await has_address || lab_fail "no address of IPv6: $(ip -n a -6 address)"
ip -n a -6 route | grep -q default && lab_fail "a default route of IPv6: $(ip -n a -6 route)"
timeout 60 ip netns exec a busybox nslookup printer.lab.test fd00:1::1 2>&1 | grep -q 10.1.0.9 || lab_fail "no names over IPv6"

"$TENON" switch dhcp lab show --json >shown.json || lab_fail "dhcp show"
python3 - "$b" <<'PYTHON' || lab_fail "$(cat shown.json)"
import json, sys
shown = json.load(open("shown.json"))
server, = shown["dhcp_servers"]
assert server["port"] == "d" and server["state"] == "up" and server["lease_count"] == 2, server
assert server["leases_path"].endswith("/kept"), server
leases = {lease["address"]: lease for lease in shown["leases"]}
assert leases["10.1.0.10"]["kind"] == "static" and leases["10.1.0.10"]["mac"] == "02:00:00:00:00:01", leases
assert leases[sys.argv[1]]["kind"] == "dynamic" and leases[sys.argv[1]]["name"] == "guest-b", leases
assert 7000 < leases[sys.argv[1]]["seconds_left"] <= 7200, leases
PYTHON
"$TENON" switch dhcp lab show | grep -q "^d  *$b .* guest-b  *dynamic" || lab_fail "$("$TENON" switch dhcp lab show)"

# It is held to what it is for; a server that is killed is another one soon, which knows the leases.
helper=$(children "$LAB_PID" | tr -d ' ')
server=$(children "$helper" | tr -d ' ')
grep -q 'CapEff:.*0000000000003400' "/proc/$server/status" && grep -q 'NoNewPrivs:.*1' "/proc/$server/status" ||
	lab_fail "it is not confined: $(grep Cap "/proc/$server/status")"
[ "$(readlink "/proc/$server/ns/net")" != "$(readlink /proc/self/ns/net)" ] || lab_fail "it is in our namespace"
kill -9 "$server"
served_again() { [ "$(lab_stat d connections) $(lab_stat d up)" = "2 True" ]; }
await served_again || lab_fail "no other server came"
ip -n b address flush dev tb
rm lease.tb
lease b tb guest-b
[ "$(cut -d'|' -f1 lease.tb)" = "$b" ] || lab_fail "b was $b and is $(cat lease.tb)"
resolves a guest-b.lab.test "$b"

# One that cannot be started again says why, once.
file=$("$TENON" switch dhcp lab show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["dhcp_servers"][0]["leases_path"])')
cp "$file" saved.leases && echo "something else" >other && mv other "$file" || lab_fail "the leases at $file"
helper=$(children "$LAB_PID" | tr -d ' ')
kill -9 "$helper"
said() { grep -q "port d: its process ended: leases .*; another is started" switch.out; }
await said || lab_fail "it is not said why it cannot be: $(cat switch.out)"
sleep 3
[ "$(grep -c "its process ended: leases" switch.out)" = 1 ] || lab_fail "it is said again and again: $(cat switch.out)"
mv saved.leases "$file"
resolves a guest-b.lab.test "$b"
connections=$(lab_stat d connections)

# ---- Machines and names come and go while it runs; leases stay, and the rest of the switch is not touched ----
ends=$(grep -c "its process ended" switch.out)
"$TENON" switch dhcp lab add d host=02:00:00:00:00:0b/10.1.0.11/db name=mail.lab.test/10.1.0.8 || lab_fail "dhcp add"
# It was done when that ended: the first question is answered.
restarted() { [ "$(lab_stat d connections) $(lab_stat d up)" = "$1 True" ] || lab_fail "the server is not there again: $(lab_show)"; }
restarted $((connections + 1))
timeout 60 ip netns exec b busybox nslookup mail.lab.test 10.1.0.1 2>&1 | grep -q '10\.1\.0\.8$' || lab_fail "it was not done when it was said to be"
[ "$(grep -c "its process ended" switch.out)" = "$ends" ] || lab_fail "a change is no end: $(cat switch.out)"
resolves b mail.lab.test 10.1.0.8
resolves b guest-b.lab.test "$b"
resolves b web.lab.test 10.1.0.10
"$TENON" switch port add lab e=tap:te || lab_fail "port add"
ip link set te address 02:00:00:00:00:0b
lab_host e te
lease e te e
[ "$(cut -d'|' -f1 lease.te)" = 10.1.0.11 ] || lab_fail "lease of e: $(cat lease.te)"
"$TENON" switch show lab --config | grep -q 'host=02:00:00:00:00:0b/10.1.0.11/db,name=mail.lab.test/10.1.0.8' || lab_fail "the configuration does not have it"
"$TENON" switch dhcp lab remove d host=02:00:00:00:00:0B name=mail.lab.test || lab_fail "dhcp remove"
restarted $((connections + 2))
resolves b printer.lab.test 10.1.0.9
timeout 60 ip netns exec b busybox nslookup mail.lab.test 10.1.0.1 2>&1 | grep -q '10\.1\.0\.8' && lab_fail "a name that was removed is there"
"$TENON" switch show lab --config | grep -q '00:0b' && lab_fail "the configuration still has it"
not_changed() { # TEXT WORD...
	local text=$1
	shift
	"$TENON" switch dhcp lab "$@" 2>err && lab_fail "$* was done"
	grep -q -- "$text" err || lab_fail "$*: $(cat err)"
}
not_changed 'this machine is given twice' add d host=02:00:00:00:00:01/10.1.0.77
# However long the port's description is, the reason is told.
many=$(for i in $(seq 10 60); do printf 'host=02:00:00:00:02:%02x/10.1.0.%d/machine-%d ' "$i" $((i + 10)) "$i"; done)
# shellcheck disable=SC2086
not_changed 'this machine is given twice' add d $many host=02:00:00:00:00:01/10.1.0.78
not_changed 'expected host=MAC/ADDRESS/NAME' add d lease=5m
not_changed 'host=02:00:00:00:00:77: there is none such' remove d name=printer.lab.test host=02:00:00:00:00:77
not_changed 'port a: it is no DHCP, but tap' add a host=02:00:00:00:00:05/10.1.0.5
not_changed 'port x: there is none of that name' add x host=02:00:00:00:00:05/10.1.0.5
resolves b printer.lab.test 10.1.0.9
[ "$(lab_stat d connections)" = $((connections + 2)) ] || lab_fail "what was refused had the server started again"
"$TENON" switch port remove lab e || lab_fail "port remove"
# What dnsmasq cannot be started with is undone, and the reason told.
cp "$file" saved.leases && echo "something else" >other && mv other "$file" || lab_fail "the leases at $file"
not_changed 'port d: leases .*: expected an empty file' add d name=late.lab.test/10.1.0.7
"$TENON" switch show lab --config | grep -q late && lab_fail "the configuration has what was refused"
for _ in $(seq 20); do
	lab_stat d state | grep -q '^leases .*: expected an empty file' || lab_fail "state: $(lab_stat d state)"
	"$TENON" switch dhcp lab show | grep -q '^d  *leases ' || lab_fail "dhcp show: $("$TENON" switch dhcp lab show)"
done
mv saved.leases "$file"
is_up() { [ "$(lab_stat d state)" = up ]; }
await is_up || lab_fail "the server does not come back: $(lab_stat d state)"
resolves b printer.lab.test 10.1.0.9

# ---- It ends with the switch, however that ends ----
helper=$(children "$LAB_PID" | tr -d ' ')
server=$(children "$helper" | tr -d ' ')
ended() { ! grep -qs dnsmasq "/proc/$1/cmdline"; }
kill -9 "$LAB_PID"
wait "$LAB_PID" 2>/dev/null
[ -n "$server" ] && await ended "$server" || lab_fail "dnsmasq is left behind"
lab_switch lab --port "$spec" --port b=tap:tc
lab_host c tc
"$TENON" switch dhcp lab show | grep -q "^d  *$b .* guest-b" || lab_fail "leases are lost: $("$TENON" switch dhcp lab show)"

# ---- What cannot be ----
refused() { # TEXT SPEC
	"$TENON" switch port add lab "$2" 2>err && lab_fail "$2 was taken"
	grep -q -- "$1" err || lab_fail "$2: $(cat err)"
}
refused 'port e: leases .*/kept: another server uses this file' "e=dhcp:10.2.0.1/24,leases=kept"
echo "what is precious" >notes
refused 'port e: leases .*/notes: expected an empty file or one of dnsmasq' "e=dhcp:10.2.0.1/24,leases=notes"
[ "$(cat notes)" = "what is precious" ] || lab_fail "notes: $(cat notes)"
refused 'expected its own address' e=dhcp:10.2.0.1
refused 'range=10.3.0.5: expected a machine' e=dhcp:10.2.0.1/24,range=10.3.0.5-10.3.0.9
refused 'port e: dnsmasq refuses: ' e=dhcp:10.2.0.1/24,option=1:nonsense
refused 'expected a machine.s, not of' e=dhcp:127.0.0.1/8
refused 'upstream=: this address is the server.s own' e=dhcp:10.2.0.1/24,upstream=10.2.0.1
refused 'option "frob=1": expected range=' e=dhcp:10.2.0.1/24,frob=1
"$TENON" switch port list lab --json | grep -q '"e"' && lab_fail "something of it is left"

# ---- Leases that are not written down: who has one is served, and it is said ----
mkdir full && mount -t tmpfs -o size=8k none full || lab_skip "cannot mount a tmpfs"
"$TENON" switch port add lab "f=dhcp:10.4.0.1/24,vlan=20,leases=full/kept" && "$TENON" switch port add lab e=tap:tf,vlan=20 || lab_fail "port add"
dd if=/dev/zero of=full/rest bs=4k 2>/dev/null
lab_host f tf
lease f tf f
troubled() { "$TENON" switch dhcp lab show | grep -q '^f  *up; leases .*full/kept: not written down (No space left on device), and forgotten'; }
await troubled || lab_fail "dhcp show: $("$TENON" switch dhcp lab show)"
grep -q "tenon: warning: leases .*full/kept: not written down" switch.out || lab_fail "it is not in the log: $(cat switch.out)"
[ "$(lab_stat f up)" = True ] || lab_fail "it serves, and is not up"
# A change would have them forgotten: it is refused as a whole.
"$TENON" switch dhcp lab add f host=02:00:00:00:0f:0f/10.4.0.77/late 2>said && lab_fail "dhcp add while leases are not written down"
grep -q 'port f: leases .*full/kept: not written down (No space left on device)' said && grep -q 'nothing is changed' said || lab_fail "dhcp add: $(cat said)"
"$TENON" switch show lab --config | grep -q 10.4.0.77 && lab_fail "what was refused is there"
troubled || lab_fail "dnsmasq was started again: $("$TENON" switch dhcp lab show)"
"$TENON" switch port remove lab f && "$TENON" switch port remove lab e && umount full || lab_fail "port remove"
lab_end || lab_fail "the switch ended with $?"

# ---- Beside an uplink: it names the router, and asks the resolver behind it ----
if ldconfig -p 2>/dev/null | grep -q 'libslirp\.so\.0'; then
	ip address add 192.0.2.1/32 dev lo
	echo nameserver 192.0.2.1 >resolv.conf
	mount --bind resolv.conf /etc/resolv.conf || lab_skip "cannot mount"
	lab_background dnsmasq --keep-in-foreground --user=root --group= --conf-file=/dev/null --pid-file= --no-resolv --no-hosts \
		--bind-interfaces --listen-address=192.0.2.1 --host-record=far.test,192.0.2.77
	ip netns delete c
	lab_switch lab --port c=tap:tc --port out=user,nodhcp --port dhcp=dhcp:10.0.2.1/24,router=10.0.2.2,upstream=10.0.2.3,domain=lab.test,host=02:00:00:00:00:0c/10.0.2.9
	ip link set tc address 02:00:00:00:00:0c
	lab_host c tc
	lease c tc c
	"$TENON" switch dhcp lab show | grep -q '^dhcp .* 10\.0\.2\.4  *10\.0\.2\.254' || lab_fail "the name server's address is given out: $("$TENON" switch dhcp lab show)"
	grep -qE '^10\.0\.2\.9\|10\.0\.2\.2\|10\.0\.2\.1\|lab\.test\|3600\|$' lease.tc || lab_fail "lease of c: $(cat lease.tc)"
	resolves c far.test 192.0.2.77 10.0.2.1
	[ "$(stat -c %a "$TENON_RUNTIME_DIR/dhcp-lab=dhcp.leases")" = 600 ] || lab_fail "its file: $(ls -l "$TENON_RUNTIME_DIR")"
	lab_end || lab_fail "the switch ended with $?"
fi
lab_done
