#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Ports that come, change and go while a switch of two threads runs, between real network stacks; VLANs with tags on the wire,
# isolation, static addresses, counters, and its end by a command.
set -u
. "$(dirname "$0")/switch_lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
command -v busybox >/dev/null || { echo "busybox is not installed"; exit 77; }
lab_enter "$@"

ask() { "$TENON" switch "$@" >said 2>&1 || lab_fail "switch $*: $(cat said)"; }
refused() { # TEXT ARGUMENT...
	local text=$1
	shift
	"$TENON" switch "$@" >said 2>&1 && lab_fail "switch $* was done"
	grep -qF -- "$text" said || lab_fail "switch $*: expected '$text': $(cat said)"
}
# An ARP request that must, or must not, be answered. Others may have the address still: it is forgotten first.
reaches() { # FROM ADDRESS
	ip -n "$1" neighbour flush all
	timeout 60 ip netns exec "$1" busybox ping -c 1 -W 30 "$2" >ping 2>&1 || lab_fail "${BASH_LINENO[0]}: $1 does not reach $2: $(cat ping)"
}
does_not_reach() { # FROM ADDRESS
	ip -n "$1" neighbour flush all
	timeout 60 ip netns exec "$1" busybox ping -c 1 -W 1 "$2" >ping 2>&1 && lab_fail "${BASH_LINENO[0]}: $1 reaches $2"
}
lab_switch ports --threads 2 --port a=tap:tapa --port b=tap:tapb
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
reaches pa 10.0.0.2

# A third one comes while the first two talk, and goes again: nobody loses a word.
timeout 120 ip netns exec pa busybox ping -c 40 -i 0.1 -W 30 10.0.0.2 >talk 2>&1 &
talk=$!
for _ in 1 2 3; do
	ask port add ports c=tap:tapc
	lab_host pc tapc 10.0.0.3/24
	reaches pc 10.0.0.1
	ask port remove ports c
	ip netns exec pc test -e /sys/class/net/tapc && lab_fail "tapc is there without its port"
	ip netns del pc
done
wait $talk
grep -q ' 0% packet loss' talk || lab_fail "$(cat talk)"
ask port add ports c=tap:tapc
lab_host pc tapc 10.0.0.3/24

# VLANs: apart, together, and over a trunk to a host that tags for itself.
ask port set ports a vlan=10
ask port set ports b vlan=20
does_not_reach pa 10.0.0.2
ask port set ports b vlan=10
reaches pa 10.0.0.2
ask port set ports c trunk=10+30
cat >tags.py <<'PYTHON'
# Asks for 10.0.0.1's address with a tag of VLAN 10, and prints the answer's tag.
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("tapc", 0))
s.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel takes the tag off
mac = bytes.fromhex("020000000c01")
arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + mac + bytes([10, 0, 0, 3]) + bytes(6) + bytes([10, 0, 0, 1])
s.settimeout(1)
end = time.time() + 60
while time.time() < end:
    s.send(b"\xff" * 6 + mac + struct.pack("!HHH", 0x8100, int(sys.argv[1]), 0x806) + arp)
    try:
        while True:
            data, control, _, _ = s.recvmsg(2048, 1024)
            if data[:6] != mac:
                continue
            tag = [struct.unpack("IIIHHHH", c[2])[5] for c in control if c[:2] == (263, 8)]
            if data[12:14] == b"\x81\x00":
                tag = [struct.unpack("!H", data[14:16])[0]]
            print("answered in VLAN", tag[0] & 4095)
            sys.exit(0)
    except TimeoutError:
        if len(sys.argv) > 2:
            sys.exit(1)
sys.exit(2)
PYTHON
[ "$(ip netns exec pc python3 tags.py 10)" = "answered in VLAN 10" ] || lab_fail "no answer through the trunk"
ip netns exec pc python3 tags.py 30 once && lab_fail "VLAN 30 reaches VLAN 10"
[ "$(lab_stat a tx_frames)" -gt 0 ] || lab_fail "nothing came to a"
for port in a b c; do ask port set ports $port vlan=none; done
reaches pa 10.0.0.2

# Isolation; a static address at the wrong port, which learning does not correct.
ask port set ports a isolate=1
ask port set ports b isolate=1
does_not_reach pa 10.0.0.2
reaches pa 10.0.0.3
ask port set ports a isolate=none
mac=$(ip -n pb link show tapb | awk '/link\/ether/ { print $2 }')
ask table add ports "$mac" c
does_not_reach pa 10.0.0.2
"$TENON" switch table list ports | grep -q "^$mac  *0  *c  *static$" || lab_fail "$("$TENON" switch table list ports)"
ask table remove ports "$mac"
reaches pa 10.0.0.2
lab_transfer pa pb 20000000 10.0.0.2 tcp
lab_transfer pb pc 20000000 10.0.0.3 tcp

# What cannot be.
refused 'there is one of that name already' port add ports a=vhost-user
refused 'there is none of that name' port remove ports z
refused 'expected a number from 1 to 4094' port set ports a vlan=4095
refused 'the port is no trunk' port set ports a native=5
refused 'expected PORT=vhost-user' port add ports d=pigeon
refused 'expected "client", queues=' port add ports d=vhost-user,mtu=9000
refused 'no station has it' table add ports 01:00:5e:00:00:01 a
refused 'is not known' table remove ports 02:00:00:00:99:99
refused 'expected six bytes' table add ports 02:00 a

refused 'there is none of that name' filter ports list z
for words in "filter ports list z" "port show ports z"; do
	"$TENON" switch $words 2>err && lab_fail "switch $words: a port that is not there was listed"
	grep -q 'tenon switch port list ports' err || lab_fail "$words: it is not said what to do: $(cat err)"
done
"$TENON" link show ports z 2>err && lab_fail "the link of a port that is not there was shown"

# Settings have commas between them as behind a type, or are words of their own; and go in any order.
ask port set ports a trunk=10+20,native=1
"$TENON" switch port show ports a | grep -q 'trunk=10+20,native=1' || lab_fail "$("$TENON" switch port show ports a)"
refused 'expected vlan=' port set ports a native=2,mtu=9000
"$TENON" switch port show ports a | grep -q 'native=1' || lab_fail "half of it was set"
ask port set ports a trunk=none native=none

# Paths are those of who types them, not of the switch.
mkdir elsewhere
(cd elsewhere && ask port add ports rec=pcap,record=out.pcap && refused '/elsewhere/out.pcap: no frame in it' port add ports again=pcap:out.pcap &&
	ask port add ports q=qemu-stream:q.sock && ask port add ports v=vde:plug &&
	ask port add ports d=qemu-dgram:d.sock,remote=r.sock,vlan=3)
for path in out.pcap q.sock plug d.sock; do
	[ -e elsewhere/$path ] && [ ! -e $path ] || lab_fail "$path is not where it was asked for: $(ls . elsewhere)"
done
"$TENON" switch port list ports | grep -q "^d.*vlan=3.*$PWD/elsewhere/d.sock to $PWD/elsewhere/r.sock" || lab_fail "$("$TENON" switch port list ports)"
for port in rec q v d; do ask port remove ports $port; done

# Counters as programs want them.
"$TENON" switch counters ports --prometheus >metrics || lab_fail "no metrics"
# The same for who scrapes: curl, and Python's client, of the control socket.
control=$(find "$TENON_RUNTIME_DIR" -name switch-ports.sock)
curl --fail --silent --show-error --max-time 60 --unix-socket "$control" http://localhost/metrics >scraped 2>&1 || lab_fail "curl: $(cat scraped)"
[ "$(sed 's/ [^ ]*$//' scraped)" = "$(sed 's/ [^ ]*$//' metrics)" ] || lab_fail "not the same counters by HTTP: $(diff scraped metrics | head)"
python3 - "$control" <<'PYTHON' || lab_fail "pages by HTTP"
import http.client, socket, sys
def ask(method, path):
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type"), answer.read()
status, kind, text = ask("GET", "/metrics")
assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8") and b"\n# TYPE " in b"\n" + text, (status, kind)
assert ask("HEAD", "/metrics")[::2] == (200, b"")
assert ask("GET", "/")[0] == 404 and ask("POST", "/metrics")[0] == 405
PYTHON
grep -q '^tenon_switch_rx_frames_total{switch="ports",port="a"} [1-9]' metrics || lab_fail "$(cat metrics)"
grep -q '^tenon_switch_dropped_frames_total{switch="ports",port="b",reason="storm_unknown"} 0$' metrics || lab_fail "$(cat metrics)"
awk '!/^#/ && !/^tenon_switch_[a-z_]+\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\} [0-9]+(\.[0-9]+)?$/ { print; bad = 1 } END { exit bad }' metrics || lab_fail "no metric"

"$TENON" switch stop ports || lab_fail "it does not end"
kill -0 $LAB_PID 2>/dev/null && wait $LAB_PID
refused 'none of that name is running' stop ports
[ $lab_failures = 0 ]
