#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A port `user`: two hosts behind the switch get addresses by DHCP, reach a server and a resolver outside, and are reached by a
# forward; not so the loopback of the switch's host, by no address. The router's process is killed, and another one comes.
. "$(dirname "$0")/switch_lib.sh"
ldconfig -p 2>/dev/null | grep -q 'libslirp\.so\.0' || lab_skip "libslirp0 is not installed"
lab_enter "$@"

# Outside: a server and a resolver at 192.0.2.1, and others at 127.0.0.1 that nobody may reach.
ip address add 192.0.2.1/32 dev lo
echo nameserver 192.0.2.1 >resolv.conf
mount --bind resolv.conf /etc/resolv.conf || lab_skip "cannot mount"
python3 - <<'PYTHON' &
import select, socket
def listen(address, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(50)
    return s
servers = {listen("192.0.2.1", 8000): b"outside\n", listen("127.0.0.1", 8001): b"LOOPBACK\n", listen("0.0.0.0", 8002): b"any\n"}
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("192.0.2.1", 53))
open("serving", "w").close()
while True:
    for s in select.select(list(servers) + [dns], [], [])[0]:
        if s is dns:
            query, peer = dns.recvfrom(2000)
            end = query.index(b"\0", 12) + 5
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x63" if query[end - 4:end - 2] == b"\0\1" else b""
            dns.sendto(query[:2] + b"\x81\x80\0\1\0" + (b"\1" if answer else b"\0") + b"\0\0\0\0" + query[12:end] + answer, peer)
        else:
            c = s.accept()[0]
            with open("visited", "ab") as visited:
                visited.write(servers[s])
            c.sendall(servers[s])
            c.close()
PYTHON
LAB_PIDS+=($!)

cat >lease <<'SCRIPT'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/24" dev "$interface"
ip route replace default via "$router"
echo "$ip $router $dns" >"lease.$interface"
SCRIPT
chmod +x lease
lease() { # NAMESPACE INTERFACE
	rm -f "lease.$2"
	timeout 60 ip netns exec "$1" busybox udhcpc -i "$2" -n -q -f -t 20 -T 2 -s "$LAB/lease" >dhcp.log 2>&1 || lab_fail "no lease for $1: $(cat dhcp.log)"
}
fetch() { timeout 100 ip netns exec "$1" python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 60)
print(s.recv(100).decode(), end="")' "$2" "$3" 2>/dev/null; }
# Where nothing is to answer, it is not waited for as long; what comes late is in `visited`.
fetch_nothing() { timeout 100 ip netns exec "$1" python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
print(s.recv(100).decode(), end="")' "$2" "$3" 2>/dev/null; }

lab_switch lab --port a=tap:ta --port b=tap:tb --port out=user:hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::5353-:5353
for _ in $(seq 600); do [ -e serving ] && break; sleep 0.1; done
lab_host a ta
lease a ta
lab_host b tb
lease b tb
[ "$(cat lease.ta)" = "10.0.2.15 10.0.2.2 10.0.2.3" ] || lab_fail "lease of a: $(cat lease.ta)"
[ "$(cat lease.tb)" = "10.0.2.16 10.0.2.2 10.0.2.3" ] || lab_fail "lease of b: $(cat lease.tb)"
for host in a b; do
	[ "$(fetch $host 192.0.2.1 8000)" = outside ] || lab_fail "$host does not reach the server"
	ip netns exec $host timeout 60 busybox nslookup server.test 10.0.2.3 >names 2>&1
	grep -q '192\.0\.2\.99' names || lab_fail "$host has no names: $(cat names)"
	# 10.0.2.2 is the host's loopback in others' routers, and so is what the name server has behind it.
done
for address in 10.0.2.2 10.0.2.3; do
	[ -z "$(fetch_nothing a $address 8001)" ] || lab_fail "the host's loopback is reached at $address"
	[ -z "$(fetch_nothing a $address 8002)" ] || lab_fail "the host is reached at $address"
done
# From outside.
ip netns exec a python3 -c 'import socket
s = socket.create_server(("10.0.2.15", 22))
open("listening", "w").close()
while True:
    c = s.accept()[0]
    c.sendall(b"a guest\n")
    c.close()' &
LAB_PIDS+=($!)
for _ in $(seq 600); do [ -e listening ] && break; sleep 0.1; done
reach() { timeout 100 python3 -c 'import socket
s = socket.create_connection(("127.0.0.1", 2222), 60)
s.settimeout(60)
print(s.recv(100).decode(), end="")' 2>/dev/null; }
[ "$(reach)" = "a guest" ] || lab_fail "the forward does not reach the guest"

# Forwards begin and end while it runs; a connection that is there stays, and the process is the same one.
"$TENON" switch forward lab add out tcp:127.0.0.1:2223-:22 || lab_fail "forward add"
reach_at() { timeout 100 python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
s.settimeout(60)
print(s.recv(100).decode(), end="")' "$1" 2>/dev/null; }
[ "$(reach_at 2223)" = "a guest" ] || lab_fail "a forward that was added does not reach the guest"
"$TENON" switch show lab --config | grep -q 'hostfwd=tcp:127.0.0.1:2223-:22' || lab_fail "the configuration does not have it"
"$TENON" switch forward lab remove out tcp::2223 || lab_fail "forward remove"
[ -z "$(reach_at 2223)" ] || lab_fail "a forward that was removed is there"
"$TENON" switch forward lab remove out tcp:127.0.0.1:2222 && [ -z "$(reach)" ] || lab_fail "the first forward was not removed"
"$TENON" switch show lab --config | grep -q 'tcp:127.0.0.1:222' && lab_fail "the configuration still has it"
"$TENON" switch forward lab add out tcp:127.0.0.1:2222-:22 && [ "$(reach)" = "a guest" ] || lab_fail "it was not added again"
[ "$(lab_stat out connections)" = 1 ] || lab_fail "the process was started again"
python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 2224))
open("taken", "w").close()
s.accept()' &
LAB_PIDS+=($!)
for _ in $(seq 600); do [ -e taken ] && break; sleep 0.1; done
not_forwarded() { # TEXT WORD...
	local text=$1
	shift
	"$TENON" switch forward lab "$@" 2>err && lab_fail "$* was done"
	grep -q -- "$text" err || lab_fail "$*: $(cat err)"
}
not_forwarded 'hostfwd: cannot listen at tcp:127.0.0.1:2224: Address already in use' add out tcp::2224-:1
not_forwarded 'it is forwarded already: tcp:127.0.0.1:2222-:22' add out tcp::2222-:23
not_forwarded 'nothing is forwarded from udp::2222' remove out udp::2222
not_forwarded 'hostfwd=tcp:x: expected tcp or udp' add out tcp:x
not_forwarded 'port a: it is no way to the outside, but tap' add a tcp::1-:1
"$TENON" switch show lab --config | grep -q 2224 && lab_fail "what failed is in the configuration"

# A process that does not answer in time may do what it was told yet: that is said, its late answer is nobody else's, and who asks again gets what
# was asked for.
for child in $(cat "/proc/$LAB_PID/task/$LAB_PID/children"); do
	tr '\0' ' ' <"/proc/$child/cmdline" | grep -q uplink-process && process=$child
done
stop_process "$process"
not_forwarded 'whether it was done is not known' add out tcp::2225-:22
"$TENON" switch forward lab add out tcp::2224-:1 2>err &
late=$!
sleep 1
kill -CONT "$process"
wait $late && lab_fail "the answer to another question was taken for its own"
grep -q 'Address already in use\|does not answer' err || lab_fail "$(cat err)"
"$TENON" switch show lab --config | grep -q '222[45]' && lab_fail "what failed is in the configuration"
"$TENON" switch forward lab add out tcp::2225-:22 || lab_fail "what was done late cannot be added"
"$TENON" switch show lab --config | grep -q 'hostfwd=tcp::2225-:22' || lab_fail "the configuration does not have it"
[ "$(reach_at 2225)" = "a guest" ] || lab_fail "it is not forwarded"
# Others are served meanwhile: it goes on after another command was answered, and in time, where this machine has any.
for _ in $(seq 10); do
	stop_process "$process"
	"$TENON" switch forward lab add out tcp::2227-:22 2>err &
	late=$!
	sleep 0.5
	"$TENON" switch port list lab >list || lab_fail "the ports are not listed beside a process that is stopped"
	kill -CONT "$process"
	wait $late && served=1 && break
	grep -q 'does not answer' err || lab_fail "$(cat err)"
done
[ -n "${served:-}" ] || lab_fail "a process that is stopped holds all other commands"
"$TENON" switch forward lab remove out tcp::2227 || lab_fail "forward remove"
# Two that are asked for meanwhile: neither is forgotten by the other.
for _ in $(seq 10); do
	stop_process "$process"
	"$TENON" switch forward lab add out tcp::2228-:22 2>err &
	late=$!
	"$TENON" switch forward lab add out tcp::2229-:22 2>err2 &
	later=$!
	sleep 0.5
	kill -CONT "$process"
	wait $late && wait $later && both=1 && break
	grep -q 'does not answer' err err2 || lab_fail "$(cat err err2)"
	wait $later
done
[ -n "${both:-}" ] || lab_fail "two forwards at once are not added"
[ "$("$TENON" switch show lab --config | grep -o 'hostfwd=tcp::222[89]' | sort | wc -l)" = 2 ] || lab_fail "one of two forwards is not in the configuration"
for port in 2228 2229; do "$TENON" switch forward lab remove out tcp::$port || lab_fail "forward remove $port"; done
stop_process "$process"
not_forwarded 'whether it was done is not known' add out tcp::2226-:22
not_forwarded 'whether it was done is not known' remove out tcp::2225
kill -CONT "$process"
for port in 2225 2226; do
	"$TENON" switch forward lab remove out tcp::$port || lab_fail "what was done late cannot be removed: $port"
	[ -z "$(reach_at $port)" ] || lab_fail "it is forwarded: $port"
done
"$TENON" switch show lab --config | grep -q '222[56]' && lab_fail "what was removed is in the configuration"
not_forwarded 'nothing is forwarded from tcp::2226' remove out tcp::2226

# A large datagram, by fragments in the order in which libslirp 4.7 does not survive them, from a raw socket of the guest.
cat >fragments.py <<'PYTHON'
import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
payload = bytes(i & 255 for i in range(4000))
datagram = struct.pack(">HHHH", 1234, 8003, 8 + len(payload), 0) + payload
source, to = socket.inet_aton("10.0.2.15"), socket.inet_aton("192.0.2.1")
for at in (2960, 0, 1480):
    part = datagram[at:at + 1480]
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(part), int(sys.argv[1]),
                         (0x2000 if at < 2960 else 0) | at // 8, 64, 17, 0, source, to)
    s.sendto(header + part, ("192.0.2.1", 0))
PYTHON
python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.1", 8003))
open("large", "w").close()
s.settimeout(120)
print(s.recv(65536) == bytes(i & 255 for i in range(4000)))' >large.out &
LAB_PIDS+=($!)
large=$!
for _ in $(seq 600); do [ -e large ] && break; sleep 0.1; done
for try in $(seq 20); do
	kill -0 $large 2>/dev/null || break
	ip netns exec a python3 fragments.py "$try"
	sleep 1
done
wait $large
[ "$(cat large.out)" = True ] || lab_fail "a datagram in fragments did not come: $(cat large.out)"
[ "$(lab_stat out connections)" = 1 ] || lab_fail "the router's process did not survive fragments: $(cat switch.out)"

# Each process is what it is for, and no more.
for child in $(cat "/proc/$LAB_PID/task/$LAB_PID/children"); do
	tr '\0' ' ' <"/proc/$child/cmdline" | grep -q uplink-process && process=$child
done
grep -q 'Seccomp:.*2' "/proc/$process/status" && grep -q 'NoNewPrivs:.*1' "/proc/$process/status" || lab_fail "it is not confined: $(cat "/proc/$process/status")"
grep -q 'CapPrm:.*[[:space:]]0*\(0000\|2000\)$' "/proc/$process/status" || lab_fail "it has capabilities: $(grep Cap "/proc/$process/status")"
kill -9 "$process"
for _ in $(seq 600); do [ "$(lab_stat out connections) $(lab_stat out up)" = "2 True" ] && break; sleep 0.1; done
[ "$(fetch a 192.0.2.1 8000)" = outside ] || lab_fail "another process does not serve"
for _ in $(seq 30); do [ "$(reach)" = "a guest" ] && break; sleep 1; done
[ "$(reach)" = "a guest" ] || lab_fail "the forward of another process does not serve"

# What cannot be is said, and nothing is left of it.
"$TENON" switch port add lab more=user,hostfwd=tcp:127.0.0.1:2222-:23 2>err && lab_fail "one port was taken twice"
grep -q 'port more: hostfwd: cannot listen at tcp:127.0.0.1:2222' err || lab_fail "$(cat err)"
for bad in tcp:2222-:22 icmp::1-:1 tcp::0-:1 tcp::1-:65536 tcp::1 tcp:localhost:1-:1 tcp::1-192.0.2.1:1; do
	"$TENON" switch port add lab "more=user:hostfwd=$bad" 2>err
	[ $? = 2 ] && grep -q hostfwd= err || lab_fail "$bad: $(cat err)"
done
lab_end || lab_fail "the switch ended with $?"
[ "$(sort -u visited)" = outside ] || lab_fail "the host was reached: $(sort -u visited)"
for _ in $(seq 600); do [ -d "/proc/$process" ] || break; sleep 0.1; done
pgrep -g 0 -f uplink-process >/dev/null && lab_fail "a process was left behind"

# With leave, guests reach the loopback.
ip netns delete a; ip netns delete b
lab_switch lab --port a=tap:ta --port out=user,loopback
lab_host a ta
lease a ta
[ "$(fetch a 10.0.2.2 8001)" = LOOPBACK ] && grep -q LOOPBACK visited || lab_fail "loopback, which was allowed, is not reached"
lab_done
