#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# QEMU listens, and the switch connects (`vhost-user:PATH,client`), to both NICs of a stock guest, over split and packed rings. The switch is killed
# (SIGKILL) again and again while the guest sends from one NIC to the other: another one goes on with the same rings, and the guest counts
# frames that were lost, or came twice: no more of these than the switch may have in its hands. TORTURE=1: 20 times.
# timeout: 400
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
count=$TOP/build/tests/helpers/frame_count
[ -x "$count" ] || rig_skip "$count is not built"
command -v python3 >/dev/null || rig_skip "python3 is not installed"
cd "$WORK"
kills=${TORTURE:+20}
kills=${kills:-4}
in_hand=32 # frames of a port that a switch has taken and not given back, at most

start() {
	rm -f switch.log # the last one's says "ready"
	rig_daemon switch "$TENON" switch run lab --socket-dir "$WORK/s" --port "a=vhost-user:$WORK/a.sock,client" --port "b=vhost-user:$WORK/b.sock,client"
	rig_await 60 grep -qs ready switch.log
}
# What frames ended by so far; and both rings are of the kind that was asked for.
look() {
	"$TENON" switch show lab --json | python3 -c '
import json, sys
ports = json.load(sys.stdin)["ports"]
print({p["name"]: p["drops"] for p in ports})
sys.exit(any(("packed" in p["features"]) != bool(sys.argv[1]) for p in ports))' "$1" || rig_fail "the rings are not: ${1:-split}"
}
mkdir s
for ring in "" +packed=on; do
	start
	name=guest${ring#+}
	rig_start tcg --name "$name" --nic "vhost-user:a.sock,02:00:00:00:00:0a,server$ring" --nic "vhost-user:b.sock,02:00:00:00:00:0b,server$ring" \
		--modules virtio_net --with "$count" --memory 192M --deadline 300 --script - <<-GUEST
		set -e
		for i in eth0 eth1; do
			echo 1 >/proc/sys/net/ipv6/conf/\$i/disable_ipv6 2>/dev/null || :
			ip link set \$i up
		done
		for i in \$(seq 300); do [ "\$(cat /sys/class/net/eth0/carrier)\$(cat /sys/class/net/eth1/carrier)" = 11 ] && break; sleep 0.1; done
		: >/tmp/said # tail is not to come first
		$count eth0 eth1 $kills >>/tmp/said &
		counts=\$!
		# The console is for what it says: a pipe's end would be lost with the guest.
		tail -f /tmp/said &
		wait \$counts
		tail -n 1 /tmp/said >/result/counted
	GUEST
	for kill in $(seq 0 $kills); do
		rig_await 120 grep -q "^ALIVE $kill" "$(rig_console)" || { tail -n 20 "$(rig_console)"; "$TENON" switch show lab; rig_fail "frames do not pass after $kill deaths"; }
		[ "$kill" != "$kills" ] || break
		look "$ring"
		rig_kill_daemon switch
		# A link that is up again before the guest looks was never down to it, and it counts deaths by that.
		rig_await 120 grep -q "^DOWN $((kill + 1))" "$(rig_console)" || rig_fail "the guest does not see its links go down"
		start
	done
	rig_wait || rig_fail "the guest ended with $?"
	echo "${ring:-split}, $kills kills: $(rig_result counted)"
	read -r _ accepted _ refused _ lost _ twice _ strange _ deaf <<<"$(rig_result counted)"
	[ "$strange" = 0 ] && [ "$twice" -le $((kills * in_hand)) ] || rig_fail "what came was not what was sent"
	rig_kill_daemon switch
done
