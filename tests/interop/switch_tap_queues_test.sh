#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# TAP ports of `tenon switch` with several queues: the kernel says that it has as many, sends on each of them, and keeps the frames of a flow in
# order; large TCP frames and UDP segments come whole; what cannot be is refused; an interface that is deleted and made again has its queues again.
set -u
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
command -v tc >/dev/null || lab_skip "tc (package iproute2) is not installed"

refused() { # TEXT SPEC
	"$TENON" switch port add lab "$2" 2>err && lab_fail "$2 was taken"
	grep -qE -- "$1" err || { cat err; lab_fail "$2: no \"$1\" in the message"; }
}
queues() { ip netns exec "$1" ls "/sys/class/net/$2/queues" | tr '\n' ' '; } # as sysfs has them
attached() { ip -n "$1" -j -d link show dev "$2" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["linkinfo"]["info_data"]["numqueues"])'; }
# Packets that left by each queue, by the kernel's count.
sent_by_queue() {
	ip netns exec "$1" tc -s qdisc show dev "$2" | awk '/parent :/ { number = substr($5, 2) + 0 } / Sent / && number { print number - 1, $4; number = 0 }' | sort -n
}
wait_state() {
	for _ in $(seq 1200); do [ "$(lab_stat "$1" state)" = "$2" ] && return; sleep 0.05; done
	lab_fail "port $1 is \"$(lab_stat "$1" state)\", expected \"$2\""
}

# One that stays, and two that the switch makes.
"$TENON" nic create tapa --multi-queue >/dev/null || lab_fail "nic create"
lab_switch lab --threads 2 --port a=tap:tapa,queues=4 --port b=tap:tapb,queues=3 --port c=tap:tapc,plain,queues=2
lab_host pa tapa 10.0.0.1/24 fd00::1/64
lab_host pb tapb 10.0.0.2/24 fd00::2/64
lab_host pc tapc 10.0.0.3/24 fd00::3/64
[ "$(queues pa tapa)" = "rx-0 rx-1 rx-2 rx-3 tx-0 tx-1 tx-2 tx-3 " ] || lab_fail "queues of tapa: $(queues pa tapa)"
[ "$(queues pb tapb)" = "rx-0 rx-1 rx-2 tx-0 tx-1 tx-2 " ] || lab_fail "queues of tapb: $(queues pb tapb)"
[ "$(attached pa tapa) $(attached pb tapb) $(attached pc tapc)" = "4 3 2" ] || lab_fail "attached: $(attached pa tapa) $(attached pb tapb) $(attached pc tapc)"
"$TENON" switch port list lab >list
grep -q '^a .*tapa .*queues=4$' list && grep -q '^c .*tapc .*queues=2$' list || lab_fail "$(cat list)"
"$TENON" nic show tapa --netns pa | grep -q '^Attached queues: *4$' || lab_fail "$("$TENON" nic show tapa --netns pa)"

lab_transfer pa pb 20000000 10.0.0.2 tcp
lab_transfer pb pa 20000000 fd00::1 tcp
lab_transfer pa pc 5000000 10.0.0.3 tcp
lab_transfer pc pa 5000000 10.0.0.1 tcp
lab_transfer pa pb 60000 10.0.0.2 udp
[ "$(lab_stat b segmented)" = 0 ] || lab_fail "frames to b were cut in software"
large=$(($(lab_stat a rx_bytes) / $(lab_stat a rx_frames)))
[ $large -gt 3000 ] || lab_fail "frames from a have $large bytes on average: they did not come in large"

# 64 flows of numbered datagrams, and echoes of each fourth, which the sender waits for before the next but one: what arrives of a flow arrives in order.
cat >flows.py <<'PYTHON'
import select, socket, struct, sys, time
role, flows, count = sys.argv[1], 64, 200
if role == "receive":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((sys.argv[2], 5002))
    s.settimeout(30)
    open("bound", "w").close()
    last, came, disorder, ended, heard = {}, 0, 0, 0, set()
    while ended < flows:
        data, peer = s.recvfrom(2048)
        number, = struct.unpack("!I", data[:4])
        if number == 0xffffffff:
            s.sendto(data, peer)
            ended += peer not in heard
            heard.add(peer)
            continue
        disorder += number <= last.get(peer, -1)
        last[peer] = number
        came += 1
        if number % 4 == 0:
            s.sendto(data, peer)
    print(came, disorder)
else:
    sockets = []
    for flow in range(flows):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect((sys.argv[2], 5002))
        s.setblocking(False)
        sockets.append(s)
    for number in range(count):
        for s in sockets:
            s.send(struct.pack("!I", number) + bytes(200))
        waiting, end = set(sockets if number % 4 == 0 and number else []), time.time() + 2
        while waiting and time.time() < end:
            for s in select.select(list(waiting), [], [], 0.1)[0]:
                s.recv(2048)
                waiting.discard(s)
    # The end of each is said until it was heard; the receiver ends when it has heard all.
    waiting = set(sockets)
    for _ in range(300):
        for s in select.select(list(waiting), [], [], 0.1)[0] + list(waiting):
            try:
                s.send(b"\xff" * 4)
                while s.recv(2048) != b"\xff" * 4:
                    pass
                waiting.discard(s)
            except BlockingIOError:
                pass
            except ConnectionRefusedError:
                waiting.discard(s)
        if not waiting:
            break
    sys.exit(len(waiting))
PYTHON
sent_by_queue pa tapa >before
rm -f bound
timeout 60 ip netns exec pb python3 flows.py receive 10.0.0.2 >came &
receiver=$!
for _ in $(seq 1200); do [ -e bound ] && break; sleep 0.05; done
timeout 60 ip netns exec pa python3 flows.py send 10.0.0.2 || lab_fail "flows were not answered"
wait $receiver || lab_fail "flows did not end"
read -r came disorder <came
{ [ "$came" -gt 6400 ] && [ "$disorder" = 0 ]; } || lab_fail "of 12800 datagrams of 64 flows $came came, $disorder not in order"
sent_by_queue pa tapa >after
python3 - <<'PYTHON' || lab_fail "not every queue was used: before $(tr '\n' , <before) after $(tr '\n' , <after)"
before, after = (dict(map(int, line.split()) for line in open(name)) for name in ("before", "after"))
assert sorted(after) == [0, 1, 2, 3]
assert all(after[queue] - before.get(queue, 0) >= 200 for queue in after)
PYTHON

# UDP segments: one send of 40 datagrams is one frame, and comes as what was sent.
if lab_stat a features | grep -q uso4 && lab_stat b features | grep -q uso4; then
	frames=$(lab_stat b tx_frames)
	rm -f bound
	timeout 60 ip netns exec pb python3 - >received <<'PYTHON' &
import hashlib, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20) # for all 120, where it comes late to its turn
s.bind(("10.0.0.2", 5003))
s.settimeout(20)
open("bound", "w").close()
datagrams = [s.recv(2048) for _ in range(120)]
print(len(datagrams), {len(d) for d in datagrams}, hashlib.sha256(b"".join(datagrams)).hexdigest())
PYTHON
	receiver=$!
	for _ in $(seq 1200); do [ -e bound ] && break; sleep 0.05; done
	ip netns exec pa python3 - >sent <<'PYTHON' || lab_fail "UDP_SEGMENT"
import hashlib, random, socket, time
data = random.Random(5).randbytes(3 * 40 * 1000)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1000) # UDP_SEGMENT
s.connect(("10.0.0.2", 5003))
for at in range(0, len(data), 40000):
    s.send(data[at:at + 40000])
    time.sleep(0.05)
print(120, {1000}, hashlib.sha256(data).hexdigest())
PYTHON
	wait $receiver
	[ -s sent ] && cmp -s sent received || lab_fail "UDP segments: $(cat sent) sent, $(cat received) received"
	frames=$(($(lab_stat b tx_frames) - frames))
	[ $frames -lt 40 ] || lab_fail "120 UDP segments came in $frames frames: they were cut"
else
	echo "the kernel's TAP has no UDP segments (Linux 6.2): not tried"
fi

# What cannot be.
ip tuntap add dev one mode tap
ip tuntap add dev many mode tap multi_queue
refused 'queues=0: expected a number of queues, 1 to 128' d=tap:x,queues=0
refused 'queues=129: expected a number of queues, 1 to 128' d=tap:x,queues=129
refused 'queues=: expected a number of queues' d=tap:x,queues=
refused 'expected "plain", netns=, queues=' d=tap:x,queue=2
refused 'expected "plain", netns=' d=packet:one,queues=2
refused 'port d: TAP interface one: expected one with 2 queues, found one that has a single queue' d=tap:one,queues=2
grep -q 'tenon nic create one --multi-queue' err || lab_fail "it is not said what to do: $(cat err)"
refused 'is no TAP' d=tap:lo,queues=2
python3 - <<'PYTHON' &
import fcntl, os, signal, struct
TAP, NO_PI, MULTI_QUEUE = 2, 0x1000, 0x100
for _ in range(200):
    fcntl.ioctl(os.open("/dev/net/tun", os.O_RDWR), 0x400454ca, struct.pack("16sH22x", b"many", TAP | NO_PI | MULTI_QUEUE))	# TUNSETIFF
open("held", "w").close()
signal.pause()
PYTHON
holder=$!
LAB_PIDS+=($holder)
for _ in $(seq 600); do [ -e held ] && break; sleep 0.05; done
refused "expected none of its queues to be attached, found 200, by process $holder" d=tap:many,queues=100
[ "$(ip -j -d link show dev many | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["linkinfo"]["info_data"]["numqueues"])')" = 200 ] || lab_fail "a queue of ours stayed at many"
kill $holder
wait $holder 2>/dev/null
# Without a header it was left, with one it is taken.
"$TENON" switch port add lab d=tap:many,queues=100 || lab_fail "port add of 100 queues"
[ "$(ip -j -d link show dev many | python3 -c 'import json, sys; d = json.load(sys.stdin)[0]["linkinfo"]["info_data"]; print(d["numqueues"], d["vnet_hdr"])')" = "100 True" ] || lab_fail "$(ip -d link show dev many)"
"$TENON" switch port remove lab d || lab_fail "port remove"
[ "$(ip -j -d link show dev many | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["linkinfo"]["info_data"]["numqueues"])')" = 0 ] || lab_fail "a queue of ours stayed at many"

# Deleted, and made again: first with one queue, which is no use, then as it was.
ip -n pa link delete tapa
wait_state a gone
ip netns delete pa
ip tuntap add dev tapa mode tap
lab_said 'port a: TAP interface tapa: expected one with 4 queues'
[ "$(lab_stat a state)" = gone ] || lab_fail "one with a single queue: $(lab_stat a state)"
ip link delete tapa
ip tuntap add dev tapa mode tap multi_queue
wait_state a "down: the interface is not up on the host"
lab_host pa tapa 10.0.0.1/24 fd00::1/64
wait_state a up
[ "$(attached pa tapa)" = 4 ] && [ "$(queues pa tapa)" = "rx-0 rx-1 rx-2 rx-3 tx-0 tx-1 tx-2 tx-3 " ] || lab_fail "made again: $(attached pa tapa), $(queues pa tapa)"
ip -n pb neigh flush all # it has another address
lab_transfer pb pa 5000000 10.0.0.1 tcp
lab_transfer pa pb 5000000 10.0.0.2 tcp

# As a file, and again from it.
"$TENON" switch show lab --config >first.json
grep -q '"a=tap:tapa,queues=4"' first.json || lab_fail "$(cat first.json)"
lab_end || lab_fail "the switch's exit status was $?"
for namespace in pa pb pc; do ip netns delete $namespace; done
"$TENON" nic create tapa --multi-queue >/dev/null || lab_fail "nic create"
lab_switch lab --config first.json
"$TENON" switch show lab --config >second.json
cmp first.json second.json || lab_fail "another configuration: $(cat second.json)"
[ "$(lab_stat a features)" = "$(lab_stat b features | sed 's/queues=3/queues=4/')" ] || lab_fail "features: $(lab_stat a features), $(lab_stat b features)"
lab_end || lab_fail "the switch's exit status was $?"
lab_done
