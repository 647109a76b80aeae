# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Hosts that join groups and send to them, for tests of `tenon switch igmp` with switch_lib.sh; to be sourced after it.
#
#	groups_begin			once in the lab: writes the programs below into its folder
#	ask ARGUMENT...			`tenon switch ARGUMENT...` must do
#	becomes EXPRESSION		waits until it is so of `switch igmp lab show --json` (look.py)
#	awaits COMMAND...		until it succeeds; fails after a minute
#	join HOST INTERFACE GROUP FD [SOURCE]	a member, of that source or of all; a line to descriptor FD has it leave; what it gets is in HOST.out
#	leave FD
#	groups_send HOST INTERFACE GROUP COUNT

groups_begin() {
cat >group.py <<'PYTHON'
# join GROUP [SOURCE]: joins, prints "joined", and then each packet's text; a line at standard input leaves.
# send GROUP COUNT: sends so many packets, at 5 ms.
import select, socket, struct, sys, time
def place(group):
    return (socket.AF_INET6 if ":" in group else socket.AF_INET)
def membership(group):
    if ":" in group:
        return socket.inet_pton(socket.AF_INET6, group) + struct.pack("I", socket.if_nametoindex(sys.argv[1]))
    return socket.inet_aton(group) + struct.pack("II", 0, socket.if_nametoindex(sys.argv[1]))
def address(text):
    if ":" in text:
        return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, text), 0).ljust(128, b"\0")
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(text)).ljust(128, b"\0")
kind, group = sys.argv[2], sys.argv[3]
s = socket.socket(place(group), socket.SOCK_DGRAM)
six = ":" in group
level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
if kind == "join":
    s.bind((group, 5001, 0, socket.if_nametoindex(sys.argv[1])) if six else (group, 5001))
    if sys.argv[4:]: # MCAST_JOIN_SOURCE_GROUP
        s.setsockopt(level, 46, struct.pack("=II", socket.if_nametoindex(sys.argv[1]), 0) + address(group) + address(sys.argv[4]))
    else:
        s.setsockopt(level, 20 if six else socket.IP_ADD_MEMBERSHIP, membership(group))
    print("joined", flush=True)
    while True:
        ready = select.select([s, 0], [], [], 60)[0]
        if s in ready:
            print(s.recv(100).decode(), flush=True)
        if 0 in ready or not ready:
            break
    s.close()
    print("left", flush=True)
else:
    if six:
        s.setsockopt(level, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(sys.argv[1]))
    else:
        s.setsockopt(level, socket.IP_MULTICAST_IF, membership(group))
    s.setsockopt(level, socket.IPV6_MULTICAST_HOPS if six else socket.IP_MULTICAST_TTL, 8)
    for i in range(int(sys.argv[4])):
        s.sendto(b"packet %d" % i, (group, 5001))
        time.sleep(0.005)
PYTHON
cat >look.py <<'PYTHON'
# look.py EXPRESSION: whether it holds of `switch igmp show --json`: s.
import json, sys
s = json.load(sys.stdin)
def at(group): return sorted(m["port"] for m in s["memberships"] if m["multicast_group"] == group)
def version(group): return [m["protocol_version"] for m in s["memberships"] if m["multicast_group"] == group]
def vlan(family): return [v for v in s["snooped_vlans"] if v["family"] == family][0]
try:
    sys.exit(0 if eval(sys.argv[1]) else 1)
except (KeyError, IndexError, NameError) as wrong:
    print(repr(wrong))
    sys.exit(2)
PYTHON
}

ask() { "$TENON" switch "$@" >said 2>&1 || lab_fail "switch $*: $(cat said)"; }
becomes() {
	for _ in $(seq 600); do
		"$TENON" switch igmp lab show --json >shown && python3 look.py "$1" <shown && return
		[ $? = 1 ] || break
		sleep 0.1
	done
	lab_fail "line ${BASH_LINENO[0]}: '$1' did not come to be: $(cat shown)"
}
awaits() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; return 1; }
join() {
	rm -f "$1.in" "$1.out"
	mkfifo "$1.in"
	# shellcheck disable=SC2086 # none, or one
	ip netns exec "$1" python3 group.py "$2" join "$3" ${5-} <"$1.in" >"$1.out" 2>&1 &
	LAB_PIDS+=($!)
	eval "exec $4>$1.in"
	for _ in $(seq 600); do grep -qs joined "$1.out" && return; sleep 0.1; done
	lab_fail "$1 cannot join: $(cat "$1.out")"
}
leave() {
	eval "echo >&$1; exec $1>&-"
}

groups_send() {
	ip netns exec "$1" python3 group.py "$2" send "$3" "$4" || lab_fail "$1 cannot send to $3"
}
