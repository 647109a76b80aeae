#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# passt as a switch's way to the outside, at a port qemu-stream that connects: an address by DHCP, a connection to the guest, connections of the guest to
# the host by each address that leads there, names that are asked for, and passt goes and comes back.
. "$(dirname "$0")/switch_lib.sh"
command -v passt >/dev/null || lab_skip "passt is not installed"
lab_enter "$@"
# An outside: passt takes the interface of the default route.
ip link add up0 type veth peer name up1 || lab_skip "veth cannot be made here"
ip link set up1 up
ip link set up0 up
ip address add 192.0.2.10/24 dev up0
ip route add default via 192.0.2.1
# Root's passt goes on as nobody, who is to reach its socket.
chmod 711 "$LAB"
mkdir -m 777 sockets
start_passt() { # OPTION...
	passt -f -s "$LAB/sockets/passt" -t 8022:22 "$@" >passt.log 2>&1 &
	PASST=$!
	LAB_PIDS+=($PASST)
}
is_up() { for _ in $(seq 1200); do [ "$(lab_stat out up)" = "$1" ] && return; sleep 0.05; done; lab_fail "port out: $(lab_stat out state): $(cat passt.log)"; return 1; }
start_passt
for _ in $(seq 1200); do listens sockets/passt || ! kill -0 $PASST 2>/dev/null && break; sleep 0.05; done
listens sockets/passt || lab_skip "passt does not run here: $(tail -n 1 passt.log)"
lab_switch lab --port a=tap:ta --port out=qemu-stream:"$LAB/sockets/passt",client
lab_host a ta
is_up True || lab_done

cat >lease <<'SCRIPT'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address flush dev "$interface" scope global
ip address add "$ip/24" dev "$interface"
ip route replace default via "$router"
echo "${dns:-none}" >told
SCRIPT
chmod +x lease
get_lease() {
	timeout 100 ip netns exec a busybox udhcpc -i ta -n -q -f -t 20 -T 2 -s "$LAB/lease" >dhcp.log 2>&1 || lab_fail "no lease: $(cat dhcp.log)"
}
get_lease
cat >talk.py <<'PYTHON'
import os, socket, sys
# Listens at, or connects to, HOST PORT; says SAYS, and prints what the other said. "ask" connects within SECONDS, and ends its half of the connection with the other one.
role, host, port, says = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].encode()
if role == "listen":
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, port))
    s.listen()
    open("listens", "w").close()
    s.settimeout(60)
    s = s.accept()[0]
else:
    s = socket.create_connection((host, port), int(sys.argv[5]) if role == "ask" else 60)
s.settimeout(60)
s.sendall(says)
if role != "ask":
    s.shutdown(socket.SHUT_WR)
print(b"".join(iter(lambda: s.recv(65536), b"")).decode())
PYTHON
heard() { # WHEN
	rm -f listens
	timeout 100 ip netns exec a python3 talk.py listen 0.0.0.0 22 "the one" >one &
	local listener=$!
	for _ in $(seq 1200); do [ -e listens ] && break; sleep 0.05; done
	timeout 100 python3 talk.py connect 192.0.2.10 8022 "the other" >other 2>&1
	wait $listener
	[ "$(cat one)" = "the other" ] && [ "$(cat other)" = "the one" ] || lab_fail "$1: $(cat one other)"
}
heard "to the guest"

# Another passt is found again.
another_passt() { # OPTION...
	kill $PASST
	wait $PASST
	is_up False
	start_passt "$@"
	is_up True
}
another_passt
# It knows the guest when the guest has asked for it.
asked() {
	ip -n a neigh flush dev ta
	ip netns exec a busybox ping -c 1 -W 2 192.0.2.1 >/dev/null
	ip -n a neigh show 192.0.2.1 | grep -q lladdr
}
for _ in $(seq 30); do asked && break; done
heard "after another was started"

# The guest connects to ADDRESS, and a service of the host that listens at LISTENS answers. (The passt of Debian 12 never tells a guest that ended its half
# early that the host has ended, too.)
reaches() { # ADDRESS LISTENS [SECONDS]
	rm -f listens
	timeout 100 python3 talk.py listen "$2" 9000 "the host" >one 2>&1 &
	local listener=$!
	for _ in $(seq 1200); do [ -e listens ] && break; sleep 0.05; done
	timeout 100 ip netns exec a python3 talk.py ask "$1" 9000 "the guest" "${3:-60}" >other 2>&1
	kill $listener 2>/dev/null
	wait $listener 2>/dev/null
	[ "$(cat other)" = "the host" ]
}
# The same passt refuses with a segment that Linux does not take for an answer.
is_refused() { ! reaches "$@" 3 && grep -q -e ConnectionRefusedError -e "timed out" other; }
reaches 192.0.2.1 127.0.0.1 || lab_fail "the router's address does not lead to the host's 127.0.0.1: $(cat one other)"
is_refused 192.0.2.1 192.0.2.10 || lab_fail "the router's address leads to another address of the host: $(cat other)"
another_passt --no-map-gw
for _ in $(seq 30); do asked && break; done
is_refused 192.0.2.1 127.0.0.1 || lab_fail "--no-map-gw: the router's address leads to the host: $(cat other)"
# The host's own address is the guest's, too, unless it is given another one; a younger passt has a name for it.
another_passt -a 192.0.2.20 -D 192.0.2.53
get_lease
reaches 192.0.2.10 192.0.2.10 || lab_fail "-a: the host's address does not lead there: $(cat one other)"
# Names, of a resolver of the host's that the lease tells of, and of one at an address that passt has for it.
start_names() {
	ip address add 192.0.2.53/24 dev up0
	for i in $(seq 100); do echo "10.9.8.$i host$i.outside.test"; done >names
	# It would become a user who is not there, and may not change to one.
	dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group= --pid-file= --no-resolv --no-hosts --addn-hosts="$LAB/names" \
		--bind-interfaces --listen-address=192.0.2.53 --log-queries --log-facility="$LAB/dns.log" --edns-packet-max=4096 \
		--txt-record=long.outside.test,"$(printf 'x%.0s' $(seq 250))","$(printf 'y%.0s' $(seq 250))","$(printf 'z%.0s' $(seq 250))" 2>dns.err &
	LAB_PIDS+=($!)
	for _ in $(seq 600); do grep -qs started dns.log && break; sleep 0.1; done
	grep -qs started dns.log || { lab_fail "dnsmasq does not start: $(cat dns.err dns.log)"; lab_done; }
}
names_from() { # RESOLVER: a hundred, and a long one; each is the host's own, who gets each question of the guest
	local asked
	asked=$(grep -c 'query.* from 192.0.2.10$' dns.log)
	timeout 100 ip netns exec a python3 - "$1" >answers 2>&1 <<'PYTHON'
import socket, struct, sys
server = sys.argv[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((server, 53)) # answers of others are not heard
s.settimeout(2)
def ask(number, name, kind):
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack("!HH", kind, 1)
    query = struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 1) + question + b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0)
    for _ in range(15):
        s.send(query)
        try:
            answer = s.recv(65536)
            while answer[:2] != query[:2]: # of one that was asked twice
                answer = s.recv(65536)
        except TimeoutError:
            continue
        flags, questions, answers = struct.unpack("!HHH", answer[2:8])
        assert flags & 0x820f == 0x8000 and questions == 1 and answer[12:12 + len(question)] == question, answer
        return answers, answer[12 + len(question) + 10:]
    raise TimeoutError(name)
for i in range(1, 101):
    answers, data = ask(i, "host%d.outside.test" % i, 1)
    assert answers == 1 and data[:6] == bytes([0, 4, 10, 9, 8, i]), (i, answers, data)
answers, data = ask(101, "long.outside.test", 16)
assert answers == 1 and data[:755] == struct.pack("!H", 753) + b"".join(bytes([250]) + x * 250 for x in (b"x", b"y", b"z")), data
print("all")
PYTHON
	[ "$(cat answers)" = all ] || lab_fail "names by $1: $(cat answers)"
	[ $(($(grep -c 'query.* from 192.0.2.10$' dns.log) - asked)) -ge 101 ] || lab_fail "dnsmasq was asked: $(grep query dns.log)"
}
if command -v dnsmasq >/dev/null; then
	[ "$(cat told)" = 192.0.2.53 ] || lab_fail "the lease tells of the resolver $(cat told)"
	start_names
	names_from 192.0.2.53
	# With that it takes the resolver's address out of all answers, also of who asked there.
	echo nameserver 192.0.2.53 >resolv.conf
	if mount --bind resolv.conf /etc/resolv.conf; then
		another_passt --dns-forward 192.0.2.99
		get_lease
		names_from 192.0.2.99
	fi
else
	echo "# no names: dnsmasq is not installed"
fi
if passt --help 2>&1 | grep -q -e --map-guest-addr; then
	another_passt --map-guest-addr 192.0.2.66
	get_lease
	reaches 192.0.2.66 192.0.2.10 || lab_fail "--map-guest-addr: $(cat one other)"
	reaches 192.0.2.1 127.0.0.1 || lab_fail "--map-guest-addr: the router's address: $(cat one other)"
fi
lab_end || lab_fail "the switch ended with $?"
lab_done
