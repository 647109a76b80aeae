#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A port on a veth of the host by a packet socket, and ports that are capture files.
refuses=$(cd "$(dirname "$0")" && pwd)/no_packet_ring.py
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"

# ---- veth ----
ip link add v0 type veth peer name v1
ip link set v0 up
lab_host b v1 10.0.0.2/24 fd00::2/64
lab_switch lab --port a=tap:ta --port p=packet:v0 --port q=pcap,record=q.pcapng
lab_host a ta 10.0.0.1/24 fd00::1/64
lab_reach a 10.0.0.2
lab_transfer a b 20000000 10.0.0.2 tcp
lab_transfer b a 20000000 10.0.0.1 tcp
lab_transfer b a 3000000 fd00::1 tcp
lab_transfer a b 60000 10.0.0.2 udp
lab_show | grep -q '"state": "up"' || lab_fail "$(lab_show)"
lab_show | grep -q '"ring"' || lab_fail "no ring of received frames: $(lab_show)"
# Large frames pass whole, both ways.
for port in a p; do
	[ "$(lab_stat $port rx_bytes)" -gt $((3000 * $(lab_stat $port rx_frames))) ] || lab_fail "$port: small frames came in: $(lab_show)"
done
# An interface is one port's, also by another name or behind a bad link; one of the same number elsewhere is another.
twice() { "$TENON" switch port add lab "$1" 2>err && lab_fail "$1 was taken"; grep -q "interface v0 is port p's already" err || lab_fail "$1: $(cat err)"; }
twice p2=packet:v0
"$TENON" link set lab p --delay 1ms && "$TENON" link clear lab p || lab_fail "link set"
twice p2=packet:v0,netns=$$
ip netns add twin
number=$(ip -j link show v0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["ifindex"])')
ip -n twin link add w0 index "$number" type veth peer name w1 || lab_fail "an interface of number $number"
{ "$TENON" switch port add lab p2=packet:w0,netns=twin && "$TENON" switch port remove lab p2; } || lab_fail "another of the same number"
ip netns delete twin
# Nor a TAP's and a packet socket's, whichever comes first: what goes out by one would come in by the other.
circle() { "$TENON" switch port add lab "$1" 2>err && lab_fail "$1 was taken"; grep -q "interface $2 is port $3's already" err || lab_fail "$1: $(cat err)"; }
"$TENON" nic create tc --up >/dev/null && "$TENON" switch port add lab c=tap:tc || lab_fail "tap:tc"
circle p2=packet:tc tc c
"$TENON" switch port remove lab c && "$TENON" switch port add lab c=packet:tc || lab_fail "packet:tc"
circle c2=tap:tc tc c
"$TENON" switch port remove lab c && "$TENON" nic delete tc || lab_fail "nic delete tc"
# Nor when a TAP was gone, and is there again as another port's: another process has it, so that it can be given to that one first.
state() { # PORT TEXT
	for _ in $(seq 1200); do [ "$(lab_stat "$1" state)" = "$2" ] && return; sleep 0.05; done
	lab_fail "port $1 is \"$(lab_stat "$1" state)\", expected \"$2\""
}
"$TENON" nic create tc --up >/dev/null && "$TENON" switch port add lab c=tap:tc || lab_fail "tap:tc"
ip link delete tc && state c gone
cat >hold.py <<'PYTHON'
import fcntl, os, struct, sys
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", sys.argv[1].encode(), 0x1002))	# TUNSETIFF: a TAP, no PI
fcntl.ioctl(fd, 0x400454cb, 1)	# TUNSETPERSIST
print("made", flush=True)
sys.stdin.read()
PYTHON
mkfifo held
python3 hold.py tc <held >made &
holder=$!
exec 9>held
for _ in $(seq 600); do [ -s made ] && break; sleep 0.05; done
ip link set tc up && "$TENON" switch port add lab c2=packet:tc || lab_fail "packet:tc"
exec 9>&-
wait $holder
state c "its interface is another port's"
lab_said "port c: interface tc is port c2's already"
state c2 up
sleep 1 # three looks: the other port's carrier does not come and go with them
[ "$(grep -c "port c2: interface tc is" switch.out)" -le 2 ] || lab_fail "its carrier comes and goes: $(cat switch.out)"
"$TENON" switch port remove lab c2 && state c "up"
"$TENON" switch port remove lab c && "$TENON" nic delete tc || lab_fail "nic delete tc"
# One that is renamed says so, and goes on.
rename() { ip link set "$1" down && ip link set "$1" name "$2" && ip link set "$2" up; }
rename v0 v9 || lab_fail "rename"
[ "$(lab_stat p where)" = "v0 (now v9)" ] || lab_fail "a renamed interface: $(lab_stat p where)"
twice() { "$TENON" switch port add lab "$1" 2>err && lab_fail "$1 was taken"; grep -q "interface v9 is port p's already" err || lab_fail "$1: $(cat err)"; }
twice p2=packet:v9
rename v9 v0
for _ in $(seq 600); do [ "$(lab_stat p up)" = True ] && break; sleep 0.05; done
[ "$(lab_show | grep -c '"type": "packet"')" = 1 ] || lab_fail "$(lab_show)"
# What this host sends on v0 does not come in; what comes in has its tag.
own=$(ip -j link show v0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')
ip address add 10.0.9.1/24 dev v0
busybox ping -c 1 -W 1 10.0.9.2 >/dev/null
"$TENON" switch port set lab a vlan=10
"$TENON" switch port set lab p trunk=10+20
raw() { # NAMESPACE INTERFACE HEX
	ip netns exec "$1" python3 - "$2" "$3" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
s.send(bytes.fromhex(sys.argv[2]))
PYTHON
}
tagged() { echo "ffffffffffff0200000000078100${1}88b5$(printf '5a%.0s' $(seq 46))"; }
raw b v1 "$(tagged 000a)"
raw b v1 "$(tagged 001e)" # 30: not its
for _ in $(seq 600); do
	lab_stat p drops | grep -q "'vlan': [1-9]" && break
	sleep 0.1
done
lab_stat p drops | grep -q "'vlan': [1-9]" || lab_fail "a foreign tag came through: $(lab_show)"
"$TENON" switch table list lab --json | python3 -c 'import json, sys
assert any(a["address"] == "02:00:00:00:00:07" and a["vlan"] == 10 and a["port"] == "p" for a in json.load(sys.stdin))' ||
	lab_fail "the tag was lost: $("$TENON" switch table list lab)"
"$TENON" switch table list lab --json | grep -q "$own" && lab_fail "its own frames came in"
# The other end goes down, up, away.
"$TENON" switch port set lab a vlan=none
"$TENON" switch port set lab p trunk=none
ip link set v0 down
"$TENON" switch port show lab p | grep -q down || lab_fail "$("$TENON" switch port show lab p)"
ip link set v0 up
lab_reach a 10.0.0.2
ip link del v0
"$TENON" switch port show lab p | grep -q gone || lab_fail "$("$TENON" switch port show lab p)"
for _ in $(seq 100); do grep -q 'port p: interface v0 is gone' switch.out && break; sleep 0.05; done
[ "$(grep -c 'port p: interface v0 is gone.*remove the port and add it' switch.out)" = 1 ] || lab_fail "not said once: $(cat switch.out)"
"$TENON" switch port remove lab p
"$TENON" switch port add lab p=packet:nosuch 2>err && lab_fail "an interface that is not there was taken"
grep -q 'interface nosuch' err || lab_fail "$(cat err)"
"$TENON" switch port add lab p=packet:lo 2>err && lab_fail "lo was taken"
grep -q 'expected an Ethernet interface' err || lab_fail "$(cat err)"
lab_end || lab_fail "the switch ended with $?"

# ---- Where the kernel gives no ring of received frames, they are read ----
if PROGRAM=/bin/true "$refuses"; then
	ip netns delete b
	ip link add v0 type veth peer name v1
	ip link set v0 up
	lab_host b v1 10.0.0.2/24 fd00::2/64
	PROGRAM=$TENON TENON=$refuses lab_switch lab --port a=tap:ta --port p=packet:v0
	lab_show | grep -q '"ring"' && lab_fail "a ring that was refused: $(lab_show)"
	ip netns delete a
	lab_host a ta 10.0.0.1/24 fd00::1/64
	lab_reach a 10.0.0.2
	lab_transfer b a 3000000 10.0.0.1 tcp
	lab_transfer b a 60000 10.0.0.1 udp
	lab_end || lab_fail "the switch ended with $?"
	ip netns delete b
fi

# ---- Files: replayed at their times and others, damaged ones as far as they go; and recorded ----
ip netns delete a
python3 - <<'PYTHON'
import struct
def record(at, data, length=None):
    return struct.pack("<IIII", at // 10**9, at % 10**9, len(data), length or len(data)) + data
frame = lambda n: b"\xff" * 6 + bytes([2, 0, 0, 0, 0, n]) + b"\x88\xb5" + bytes([n]) * 46
good = b"".join(record(10**18 + i * 20_000_000, frame(i)) for i in range(10))
head = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1)
open("good.pcap", "wb").write(head + good)
open("cut.pcap", "wb").write(head + good[:-30])
open("odd.pcap", "wb").write(head + record(5, frame(1), 2000) + record(6, b"short") + good)
open("wild.pcap", "wb").write(head + good + struct.pack("<IIII", 0, 0, 0xffffffff, 0xffffffff) + b"x" * 50)
open("wlan.pcap", "wb").write(struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 105) + good)
open("none.pcap", "wb").write(head)
open("text.pcap", "wb").write(b"this is no capture\n" * 10)
PYTHON
lab_switch files --port r=pcap:good.pcap,interval=1ms --port c=pcap:cut.pcap,speed=4 --port o=pcap:odd.pcap,interval=0 \
	--port l=pcap:good.pcap,interval=1ms,loop --port w=pcap:wild.pcap --port x=pcap,record=x.pcap
for _ in $(seq 600); do
	[ "$(lab_stat r rx_frames) $(lab_stat c rx_frames) $(lab_stat o rx_frames) $(lab_stat w rx_frames)" = "10 9 10 10" ] && break
	sleep 0.1
done
[ "$(lab_stat r rx_frames) $(lab_stat c rx_frames) $(lab_stat o rx_frames) $(lab_stat w rx_frames)" = "10 9 10 10" ] || lab_fail "$(lab_show)"
[ "$(lab_stat l rx_frames)" -gt 10 ] || lab_fail "it does not loop: $(lab_show)"
lab_said 'o: odd.pcap: 2 frames are left out'
lab_said 'c: cut.pcap: damaged after 9'
for bad in wlan none text; do
	"$TENON" switch port add files "z=pcap:$bad.pcap" 2>err && lab_fail "$bad.pcap was taken"
	grep -q "port z: $PWD/$bad.pcap: " err || lab_fail "$(cat err)"
done
"$TENON" switch port add files z=pcap:nosuch.pcap 2>err && lab_fail "a file that is not there was taken"
grep -q "port z: $PWD/nosuch.pcap: cannot open" err || lab_fail "$(cat err)"
"$TENON" switch port list files --json | grep -q '"where": "good.pcap"' || lab_fail "$("$TENON" switch port list files)"
"$TENON" switch port add files z=pcap,record=good.pcap 2>/dev/null # an older capture may be written over
"$TENON" switch port remove files l
"$TENON" switch port add files z2=pcap,record=text.pcap 2>err && lab_fail "text.pcap was written over"
lab_end || lab_fail "the switch ended with $?"
python3 - <<'PYTHON' || lab_fail "what was recorded is not what was sent"
import struct
data = open("x.pcap", "rb").read()
assert struct.unpack("<I", data[:4])[0] == 0xa1b23c4d
at, seen = 24, 0
while at < len(data):
    size = struct.unpack("<I", data[at + 8:at + 12])[0]
    frame = data[at + 16:at + 16 + size]
    assert len(frame) == 60 and frame[14:] == bytes([frame[11]]) * 46
    at += 16 + size
    seen += 1
assert seen >= 39 + 10, seen
PYTHON
lab_done
