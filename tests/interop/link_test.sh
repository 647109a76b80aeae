#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bad links between real network stacks: delay, loss of a list, wrong bits that checksums find, rate; live, and good again.
set -u
. "$(dirname "$0")/switch_lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
command -v busybox >/dev/null || { echo "busybox is not installed"; exit 77; }
lab_enter "$@"

link() { "$TENON" link "$@" >said 2>&1 || lab_fail "link $*: $(cat said)"; }
refused() { # TEXT ARGUMENT...
	local text=$1
	shift
	"$TENON" link "$@" >said 2>&1 && lab_fail "link $* was done"
	grep -qF -- "$text" said || lab_fail "link $*: expected '$text': $(cat said)"
}
counted() { # DIRECTION KEY: of port b
	"$TENON" link show links b --json | python3 -c 'import json, sys
print([w for w in json.load(sys.stdin) if w["direction"] == sys.argv[1]][0][sys.argv[2]])' "$1" "$2"
}
lab_switch links --port a=tap:tapa --port b=tap:tapb
# Nothing but what the test sends: the packets of a list are counted.
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
for host in pa pb; do ip netns exec $host sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
timeout 60 ip netns exec pa busybox ping -c 1 -W 30 10.0.0.2 >ping || lab_fail "no ping: $(cat ping)"

# 30 ms each way: no answer can be faster than 60.
link set links b --delay 30ms
timeout 60 ip netns exec pa busybox ping -c 3 -W 30 10.0.0.2 >ping || lab_fail "$(cat ping)"
awk -F'[=/ ]+' '/^round-trip/ { found = 1; if ($6 < 60) bad = 1 } END { exit bad || !found }' ping || lab_fail "faster than the link: $(cat ping)"
[ "$(counted out lost)" = 0 ] && [ "$(counted out delivered)" -ge 3 ] || lab_fail "$("$TENON" link show links)"

# One way only, and just these: the second and third of four datagrams. Neighbours are known for good.
link clear links b
mac() { ip -n "$1" link show "$2" | awk '/link\/ether/ { print $2 }'; }
ip -n pa neighbour replace 10.0.0.2 lladdr "$(mac pb tapb)" dev tapa
ip -n pb neighbour replace 10.0.0.1 lladdr "$(mac pa tapa)" dev tapb
cat >talk.py <<'PYTHON'
import socket, sys
count = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.0.0.2", 5002))
for i in range(count):
    s.send(b"%04d" % i + b"x" * 500)
PYTHON
cat >hear.py <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.2", 5002))
open("hears", "w").close()
s.settimeout(60)
got = []
while not got or got[-1] != sys.argv[1]:
    got.append(s.recv(2000)[:4].decode())
print(*got)
PYTHON
says() { # LAST COUNT: what comes of so many datagrams
	rm -f hears
	timeout 120 ip netns exec pb python3 hear.py "$1" >heard &
	local listener=$!
	until [ -e hears ]; do sleep 0.05; kill -0 $listener 2>/dev/null || break; done
	timeout 60 ip netns exec pa python3 talk.py "$2"
	wait $listener
	cat heard
}
link set links b --direction out --loss list,2-3 --seed 5
[ "$(says 0003 4)" = "0000 0003" ] || lab_fail "of four datagrams came: $(cat heard)"
[ "$(counted out lost)" = 2 ] || lab_fail "$("$TENON" link show links)"
[ "$(counted in offered)" = 0 ] || [ "$(counted in lost)" = 0 ] || lab_fail "the other way lost"

# A large datagram of 30 segments and a queue of 10 packets: just the first ten come, once the wire is another; a capture has all thirty, with what became of them.
cat >burst.py <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 500)  # UDP_SEGMENT
s.connect(("10.0.0.2", 5002))
s.send(b"".join(b"%04d" % i + b"x" * 496 for i in range(30)))
PYTHON
link clear links b
link set links b --direction out --rate 8k --queue 10p
before=$(counted out offered) full=$(counted out queue_full)
"$TENON" switch capture links b -w burst.pcapng & capture=$!
until [ -s burst.pcapng ]; do sleep 0.05; kill -0 $capture 2>/dev/null || break; done
rm -f hears
timeout 120 ip netns exec pb python3 hear.py 0009 >heard & listener=$!
until [ -e hears ]; do sleep 0.05; kill -0 $listener 2>/dev/null || break; done
timeout 60 ip netns exec pa python3 burst.py
for _ in $(seq 600); do [ "$(counted out offered)" -lt $((before + 30)) ] || break; sleep 0.1; done
[ "$(counted out offered)" = $((before + 30)) ] && [ "$(counted out queue_full)" = $((full + 20)) ] || lab_fail "$("$TENON" link show links)"
link set links b --direction out --rate 1G
wait $listener
[ "$(cat heard)" = "$(seq -f %04g 0 9 | paste -sd ' ')" ] || lab_fail "of thirty segments came: $(cat heard)"
kill -INT $capture && wait $capture
# As root tcpdump becomes another user, which a user namespace of one user does not let it.
if command -v tcpdump >/dev/null && [ "$(cat /proc/self/setgroups)" = allow ]; then
	[ "$(tcpdump -nr burst.pcapng udp dst port 5002 2>/dev/null | grep -c 'length 500$')" = 30 ] || lab_fail "$(tcpdump -nr burst.pcapng)"
fi

# A wrong bit is found by a checksum, or is in an address; never does a wrong byte arrive.
link set links b --direction out --loss none --corrupt 20% --seed 6
lab_transfer pa pb 3000000 10.0.0.2 tcp
[ "$(counted out corrupted)" -gt 10 ] || lab_fail "$("$TENON" link show links)"

# 8 Mbit/s: 3 MB cannot take less than 3 s, and a queue that is full is told apart.
link set links b --direction out --corrupt none --rate 8M --queue 20ms
full=$(counted out queue_full) lost=$(counted out lost)
begin=$(date +%s%N)
lab_transfer pa pb 3000000 10.0.0.2 tcp
[ $(($(date +%s%N) - begin)) -gt 2900000000 ] || lab_fail "faster than the link"
[ "$(counted out queue_full)" -gt "$full" ] && [ "$(counted out lost)" = "$lost" ] || lab_fail "$("$TENON" link show links)"

"$TENON" switch counters links --prometheus >metrics
grep -q '^tenon_switch_link_packets_total{switch="links",port="b",direction="out",event="queue_full"} [1-9]' metrics ||
	lab_fail "not among the metrics"

# As a port's setting it is a shaper; the same is shown, and in the configuration. A policer beside it drops.
link clear links b
"$TENON" switch port set links b shape-out=8M/800k police-in=1000p/10p || lab_fail "port set"
"$TENON" switch port list links | grep -q 'police-in=1Kp/10p,shape-out=8000000/800000' || lab_fail "$("$TENON" switch port list links)"
"$TENON" link show links b | grep -q 'rate=8000000 burst=800000' || lab_fail "$("$TENON" link show links)"
"$TENON" switch port set links b shape-out=8M/x 2>err && lab_fail "a burst that is none"
grep -q 'shape-out=8M/x: expected RATE' err || lab_fail "$(cat err)"
"$TENON" switch port set links b shape-out=none police-in=none || lab_fail "port set"
"$TENON" switch port list links | grep -q 'shape-out\|police' && lab_fail "$("$TENON" switch port list links)"

# A table of jitter: 8192 is one jitter. It is in the configuration.
printf '# all the same\n8192 8192\n' >my.dist
link set links b --direction out --delay 10ms --jitter 5ms,table=my.dist
"$TENON" link show links b | grep -q 'delay=10ms jitter=5ms,table=my.dist' || lab_fail "$("$TENON" link show links)"
"$TENON" switch show links --config >config
python3 -c 'import json; link = json.load(open("config"))["links"][0]
assert link["table"] == "8192\n8192\n" and link["words"] == ["delay=10ms", "jitter=5ms,table=my.dist"], link' || lab_fail "$(cat config)"
"$TENON" link set links b --jitter 5ms,table=nowhere 2>err && lab_fail "a table that is not there"
grep -q 'table nowhere: No such file' err && grep -q "iproute2's .*tc/nowhere.dist" err || lab_fail "$(cat err)"

# What passes, in a pipe, until the reader has enough.
"$TENON" switch counters links --watch --json | head -n 1 >rates
python3 -c 'import json; port, = [p for p in json.load(open("rates")) if p["name"] == "a"]
assert port["rx_frames_per_second"] >= 0 and port["drops_per_second"] == {}, port' || lab_fail "$(cat rates)"
timeout 60 "$TENON" switch table list links --watch | head -n 1 | grep -q '^known  *[0-9a-f:]\{17\}  vlan 0  [ab]$' || lab_fail "table --watch"
# What was there when it began, what comes and goes, static ones by other words; each is of its kind.
"$TENON" switch table add links 02:00:00:00:0a:01 a && "$TENON" switch table flush links || lab_fail "table add"
timeout 60 "$TENON" switch table list links --watch --json >changes &
watcher=$!
await_change() { for _ in $(seq 600); do grep -q "\"change\":\"$1\",\"address\":\"$2\".*\"kind\":\"static\",\"from\":$3" changes && return; sleep 0.1; done; lab_fail "no $1 of $2: $(cat changes)"; }
await_change known 02:00:00:00:0a:01 null
"$TENON" switch table add links 02:00:00:00:0a:02 a || lab_fail "table add"
await_change added 02:00:00:00:0a:02 null
"$TENON" switch table add links 02:00:00:00:0a:02 b || lab_fail "table add"
await_change moved 02:00:00:00:0a:02 '"a"'
"$TENON" switch table remove links 02:00:00:00:0a:02 && "$TENON" switch table remove links 02:00:00:00:0a:01 || lab_fail "table remove"
await_change removed 02:00:00:00:0a:01 null
kill "$watcher"
wait "$watcher" 2>/dev/null
lab_reach pa 10.0.0.2 || lab_fail "it does not reach the other again"
timeout 60 "$TENON" switch table list links --watch >/dev/full 2>err
[ $? = 1 ] && grep -q 'standard output: No space left' err || lab_fail "--watch >/dev/full: $(cat err)"

# 12 Mbit/s as it was recorded: 1.5 MB cannot take less than a second. It is in the configuration, and a wrong one changes nothing.
seq 1 100 >recorded
link clear links b
link set links b --direction out --trace recorded --seed 7
begin=$(date +%s%N)
lab_transfer pa pb 1500000 10.0.0.2 tcp
[ $(($(date +%s%N) - begin)) -gt 990000000 ] || lab_fail "faster than the recorded rate"
"$TENON" link show links b | grep -q 'trace=recorded seed=7' || lab_fail "$("$TENON" link show links)"
"$TENON" switch show links --config >config
python3 -c 'import json; link = json.load(open("config"))["links"][0]
assert link["trace"] == open("recorded").read() and link["trace_file"] == "recorded", link
assert link["words"] == ["seed=7"], link' || lab_fail "$(cat config)"
printf '1\n5\n4\n' >wrong
refused 'trace wrong: line 3: expected no time before' set links b --trace wrong
refused 'trace nowhere: No such file' set links b --trace nowhere
refused 'switch links: port b: rate and trace exclude each other' set links b --direction out --rate 5M
refused 'switch links: port b: rate and trace exclude each other' set links b --trace recorded --rate 5M
"$TENON" link show links b | grep -q 'trace=recorded seed=7' || lab_fail "$("$TENON" link show links)"
printf '3\n' | "$TENON" link set links b --trace - --delay 1ms || lab_fail "a trace on standard input"
link set links b --trace none --rate 50M

link clear links b
lab_transfer pa pb 100000000 10.0.0.2 tcp

# By a script: down, up, and one that is wrong changes nothing.
printf 'at 100ms\nport b down\nat 1h\nport b up\n' >flap
link schedule links a flap
for _ in $(seq 600); do
	"$TENON" link schedule links b show >said 2>&1
	grep -q '^b *both *0 *1 *2$' said && break
	sleep 0.1
done
grep -q '^b *both *0 *1 *2$' said && grep -q '^flap, .* line 4 is next, at 3600.000 s' said || lab_fail "$(cat said)"
"$TENON" switch port list links | grep -q '^b .*cut' || lab_fail "$("$TENON" switch port list links)"
# Lists, as those of volumes.
[ "$("$TENON" switch port list links -H -o PORT --sort -PORT | tr '\n' ' ')" = 'b a ' ] || lab_fail "$("$TENON" switch port list links -H -o PORT --sort -PORT)"
[ "$("$TENON" switch port list links --json --sort -PORT | grep -o '"name": "[ab]"' | tr -d '\n')" = '"name": "b""name": "a"' ] || lab_fail 'JSON that is sorted'
[ "$("$TENON" link show links -H -o WAY,PORT --sort WAY,-PORT | tr '\t\n' ': ')" = 'in:b in:a out:b out:a ' ] || lab_fail "$("$TENON" link show links -H -o WAY,PORT --sort WAY,-PORT)"
"$TENON" switch counters links -o 'tx frames' | grep -q '^TX FRAMES *$' || lab_fail "$("$TENON" switch counters links -o 'tx frames')"
"$TENON" switch filter links list -o help | grep -qi expression && "$TENON" switch table list links -H -o address | grep -q '^[0-9a-f:]*$' || lab_fail 'columns of filters and addresses'
"$TENON" switch mirror links list -o nothing 2>&1 | grep -q "nothing" || lab_fail 'a column that is not there'
"$TENON" switch table list links --watch -H 2>&1 | grep -q 'no columns to choose' || lab_fail 'columns of what is followed'
# Recorded rates, by their files.
printf 'set out trace=recorded # trace=nowhere\nat 1h\nset out trace=none\n' >rates
link schedule links a clear
link schedule links a rates
for _ in $(seq 600); do "$TENON" link show links a | grep -q 'trace=recorded' && break; sleep 0.1; done
"$TENON" link show links a | grep -q 'trace=recorded' || lab_fail "$("$TENON" link show links a)"
"$TENON" switch show links --config | python3 -c 'import json, sys
s = json.load(sys.stdin)["schedules"]
assert len(s) == 1 and s[0]["traces"] == {"recorded": open("recorded").read()}, s' || lab_fail "a schedule with traces in the configuration"
# And tables of jitter, beside them.
printf 'set out delay=10ms jitter=5ms,table=my.dist trace=recorded\nat 1h\nclear\n' >tables
link schedule links a tables
for _ in $(seq 600); do "$TENON" link show links a | grep -q 'table=my.dist' && break; sleep 0.1; done
"$TENON" link show links a | grep -q 'delay=10ms jitter=5ms,table=my.dist trace=recorded' || lab_fail "$("$TENON" link show links a)"
"$TENON" switch show links --config >config
python3 -c 'import json; s = json.load(open("config"))["schedules"]
assert s[0]["traces"] == {"my.dist": open("my.dist").read(), "recorded": open("recorded").read()}, s' || lab_fail "a schedule with a table in the configuration: $(cat config)"
printf 'set jitter=5ms,table=nowhere\n' >wrong
refused 'schedule wrong: table nowhere: No such file' schedule links a wrong
printf 'down\nset trace=nowhere\n' >wrong
refused 'schedule wrong: trace nowhere: No such file' schedule links a wrong
# More traces than fit are not even read: of the seventeenth there is no file.
for i in $(seq 16); do printf '5\n' >"t$i" && printf 'set trace=t%d\n' "$i"; done >wrong
printf 'set trace=t17\n' >>wrong
refused 'trace t17: at most 16 files fit into a schedule' schedule links a wrong
# A FIFO that nobody writes to, one whose writer comes late, and what a shell makes of a command.
mkfifo pipe
refused 'schedule pipe: it is a FIFO that nobody writes to' schedule links a pipe
(sleep 1 && printf 'down\n wait ' && sleep 1 && printf '5\n') >pipe &
refused 'pipe: line 2, column 7: "5": expected a time' schedule links a pipe
wait $!
refused 'line 1, column 1: "nonsense"' schedule links a <(sleep 1 && echo nonsense)
link schedule links a flap
printf 'down\n wait 5\n' >wrong
refused 'wrong: line 2, column 7: "5": expected a time' schedule links a wrong
refused 'it is in the schedule flap of port a already' schedule links b flap
link schedule links a clear
lab_transfer pa pb 1000000 10.0.0.2 tcp
refused 'its link has no schedule' schedule links b show

refused '--delay=5: expected a time' set links b --delay 5
refused '--loss=120%: expected a probability' set links b --loss 120%
refused '--delay=: expected a time from 1ns' set links b --delay ''
refused '--queue=1.5p: expected a time above 0, up to an hour, as 100ms, or 1p to 1000000p' set links b --rate 1M --queue 1.5p
refused '--rate=10T: expected bits a second, from 1 to 10000G' set links b --rate 10T
refused 'nothing to pass by' set links b --reorder 10%
refused 'nothing to set' set links b
refused 'expected in (from the port)' set links b --delay 1ms --direction up
refused 'there is none of that name' set links z --delay 1ms
refused 'none of that name is running' set nowhere b --delay 1ms
lab_end || lab_fail "exit status $?"
lab_done
