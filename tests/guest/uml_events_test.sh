#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Eight NICs of a guest of User Mode Linux that are signalled at once, thousands of times, each take all that they were given: no
# signal of the switch is lost, nor one by User Mode Linux (README.md), which by itself has six of the eight stand still within a second.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
[ -x "$TENON" ] || rig_skip "$TENON is not built"
command -v ip >/dev/null || rig_skip "iproute2 is not installed"
ip=$(command -v ip)
cd "$WORK"
nics=() ports=()
for n in 0 1 2 3 4 5 6 7 8; do nics+=(--nic "vhost-user:p$n.sock") ports+=(--port "p$n=vhost-user"); done
rig_daemon switch "$TENON" switch run lab --socket-dir "$WORK" --threads 2 "${ports[@]}"
rig_await 60 grep -q ready "$WORK/switch.log"
cat >guest.sh <<GUEST
set -e
ip=$ip
GUEST
cat >>guest.sh <<'GUEST'
for i in $(seq 600); do [ -e /sys/class/net/eth8 ] && break; sleep 0.1; done
# All are in one segment, and what the last says is for all.
$ip netns add far
$ip link set eth8 netns far
$ip netns exec far $ip link set eth8 up
$ip netns exec far $ip address add 10.0.0.1/24 dev eth8
for i in 0 1 2 3 4 5 6 7; do $ip link set eth$i up; done
$ip netns exec far ping -q -i 0.001 10.0.0.255 >/dev/null &
received() { cat /sys/class/net/eth[0-7]/statistics/rx_packets; }
most() { received | sort -n | tail -n 1; }
until_most() { # COUNT
	for i in $(seq 2400); do [ $(most) -ge $1 ] && return; sleep 0.25; done
}
until_most 3000
received >/result/before
until_most $(($(most) + 300))
kill $!
received >/result/after
GUEST
rig_boot uml --name guest "${nics[@]}" --with "$ip" --modules virtio_net --script guest.sh --memory 128M
paste -d " " "$(rig_results)/before" "$(rig_results)/after" >counts
cat counts
# Each has taken some of the last hundreds, too.
awk '$2 > most { most = $2 } $1 > first { first = $1 } $2 <= $1 { print "eth" NR - 1 " stands still at " $2 " frames"; failed = 1 }
	END { if (most - first < 50) { print "only " most - first " frames came at last"; failed = 1 } exit failed }' counts || {
	"$TENON" switch counters lab
	rig_fail "a NIC stood still"
}
