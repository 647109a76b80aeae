#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon switch` with stock Linux guests as vhost-user front-ends: user-mode Linux and QEMU, two kernels
# and two drivers for the ring. They ping each other and send a file both ways, checked by content; a
# guest leaves and another comes to its port. The first two guests' traffic is in VLANs of Linux's: one has a customer's tag,
# in the provider's (802.1ad), the other the customer's only, at a port that puts it into the provider's. As root, a guest also sends to the host's stack, on a TAP
# without offloads, for which its large frames are cut in software.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
[ -x "$TENON" ] || rig_skip "$TENON is not built"
tap=() apart=()
if [ "$(id -u)" = 0 ] && [ -c /dev/net/tun ] && unshare -n true 2>/dev/null; then
	tap=(--port t=tap:tapt,plain) apart=(unshare -n)
fi
rig_daemon switch ${apart[@]+"${apart[@]}"} "$TENON" switch run lab --socket-dir "$WORK" \
	--port a=vhost-user --port b=vhost-user ${tap[@]+"${tap[@]}"} --capture "$WORK/x.pcap"
mkfifo "$WORK/never"
rig_await 5 grep -q ready "$WORK/switch.log"
head -c 8M /dev/urandom >"$WORK/noise"
sum=$(sha256sum <"$WORK/noise")

# Serves the file to whoever asks, then waits to be told that all is done.
cat >"$WORK/server.sh" <<'GUEST'
set -ex
for i in $(seq 600); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
ip link set eth0 up
card=eth0
if [ -e /root/customer ]; then
	ip link add link eth0 name c7 type vlan id 7
	card=c7
fi
ip link set $card up
ip address add 10.0.0.2/24 dev $card
ls /sys/class/net/eth0/device/driver/module/drivers 2>/dev/null || true
mkfifo /tmp/never	# input that does not end, for nc ends with it
nc -l -p 5000 >/tmp/got <>/tmp/never
sha256sum </tmp/got >/result/got
nc -l -p 5001 </tmp/got
nc -l -p 5002 </dev/null
GUEST
cat >"$WORK/client.sh" <<'GUEST'
set -ex
for i in $(seq 600); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
ip link set eth0 up
card=eth0
if [ -e /root/customer ]; then
	ip link add link eth0 name s10 type vlan protocol 802.1ad id 10
	ip link set s10 up
	ip link add link s10 name c7 type vlan id 7
	card=c7
fi
ip link set $card up
ip address add 10.0.0.1/24 dev $card
for i in $(seq 600); do ping -c 1 -W 1 10.0.0.2 && break; done
ping -c 3 10.0.0.2
mkfifo /tmp/never
for i in $(seq 600); do nc 10.0.0.2 5000 </root/noise && break; sleep 0.5; done
for i in $(seq 600); do nc 10.0.0.2 5001 >/tmp/back <>/tmp/never && break; sleep 0.5; done
sha256sum </tmp/back >/result/sum
for i in $(seq 600); do nc 10.0.0.2 5002 </dev/null && break; sleep 0.5; done
cat /sys/class/net/eth0/statistics/rx_errors >/result/errors
GUEST

round() { # CLIENT-RIG SERVER-RIG
	rig_start "$2" --name "server$3" --nic vhost-user:b.sock,02:00:00:00:00:02 --modules "$4" ${5:+--file "$5"} --script "$WORK/server.sh" --memory 192M
	rig_boot "$1" --name "client$3" --nic vhost-user:a.sock,02:00:00:00:00:01 --modules "$4" --file noise ${5:+--file "$5"} --script "$WORK/client.sh" --memory 192M ||
		rig_fail "client in $1"
	rig_wait "server$3" || rig_fail "server in $2"
	[ "$(rig_result got "server$3")" = "$sum" ] || rig_fail "$1 to $2: the file did not arrive as it was"
	[ "$(rig_result sum "client$3")" = "$sum" ] || rig_fail "$1 to $2: the file came back changed"
	[ "$(rig_result errors "client$3")" = 0 ] || rig_fail "$1: receive errors"
	"$TENON" switch show lab
}
touch "$WORK/customer"
"$TENON" switch port set lab a trunk=10,tag-type=802.1ad
"$TENON" switch port set lab b dot1q-tunnel=10
round uml uml 1 "virtio_net 8021q" customer
# As another reads it: the same packet came with two tags and left with one.
if command -v tshark >/dev/null; then
	tshark -r "$WORK/x.pcap" -Y 'ieee8021ad && vlan.id == 7 && tcp.len > 1000' -T fields -e ieee8021ad.id -e vlan.id -c 2000 2>/dev/null | grep -q "10.*7" ||
		rig_fail "no packet with both tags in the capture"
fi
"$TENON" switch port set lab a trunk=none,tag-type=none
"$TENON" switch port set lab b dot1q-tunnel=none
round tcg uml 2 virtio_net ""

if [ ${#tap[@]} -gt 0 ]; then
	# The switch's process, whose namespace has the TAP.
	for pid in $(pgrep -f "switch run lab --socket-dir $WORK "); do
		[ "$(cat "/proc/$pid/comm")" = tenon ] && switch=$pid
	done
	inside() { nsenter -t "$switch" -n "$@"; }
	inside ip address add 10.0.0.9/24 dev tapt
	inside timeout 800 busybox nc -l -p 5000 >"$WORK/got" <>"${WORK}/never" &
	receiver=$!
	rig_boot uml --name sender --nic vhost-user:a.sock --modules virtio_net --file noise --memory 192M --script - <<-'GUEST' || rig_fail "sender"
		set -ex
		for i in $(seq 600); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
		ip link set eth0 up
		ip address add 10.0.0.1/24 dev eth0
		for i in $(seq 600); do ping -c 1 -W 1 10.0.0.9 && break; done
		nc 10.0.0.9 5000 </root/noise
	GUEST
	wait $receiver
	[ "$(sha256sum <"$WORK/got")" = "$sum" ] || rig_fail "the file did not reach the host as it was"
	"$TENON" switch show lab --json >"$WORK/shown"
	python3 -c 'import json, sys
port = [p for p in json.load(open(sys.argv[1]))["ports"] if p["name"] == "t"][0]
print("for the TAP: cut", port["segmented"], "summed", port["checksummed"])
sys.exit(not port["checksummed"])' "$WORK/shown" || rig_fail "nothing was done in software for the TAP"
fi
