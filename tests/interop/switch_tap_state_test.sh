#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# TAP ports of `tenon switch` on interfaces with a past: what a former user set on a persistent one is undone, so
# that TCP and UDP really pass; one with several queues has one owner, who is named; one that is deleted and made
# again is taken again; and only what is up is called so.
set -u
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"

# Leaves offloads, an address filter, a tiny send buffer, no carrier and a short header on a persistent TAP.
use_and_leave() {
	python3 - "$1" <<'PYTHON'
import fcntl, os, struct, sys
TAP, NO_PI, VNET_HDR = 2, 0x1000, 0x4000
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", sys.argv[1].encode(), TAP | NO_PI | VNET_HDR))	# TUNSETIFF
fcntl.ioctl(fd, 0x400454d0, 1 | 2 | 4)									# TUNSETOFFLOAD
fcntl.ioctl(fd, 0x400454d1, struct.pack("HH6s", 0, 1, bytes.fromhex("020000000099")))			# TUNSETTXFILTER
fcntl.ioctl(fd, 0x400454d4, struct.pack("i", 1))							# TUNSETSNDBUF
fcntl.ioctl(fd, 0x400454d8, struct.pack("i", 10))							# TUNSETVNETHDRSZ
fcntl.ioctl(fd, 0x400454e2, struct.pack("i", 0))							# TUNSETCARRIER
PYTHON
}
state() { lab_show | python3 -c 'import json, sys; print([p["state"] for p in json.load(sys.stdin)["ports"] if p["name"] == sys.argv[1]][0])' "$1"; }
wait_state() {
	for _ in $(seq 1200); do [ "$(state "$1")" = "$2" ] && return; sleep 0.05; done
	lab_fail "port $1 is \"$(state "$1")\", expected \"$2\""
}

for tap in tapa tapb tapc; do ip tuntap add dev $tap mode tap && use_and_leave $tap || lab_fail "cannot prepare $tap"; done
ip tuntap add dev tapm mode tap multi_queue
lab_switch lab --port a=tap:tapa,plain --port b=tap:tapb --port c=tap:tapc,plain --port m=tap:tapm
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
lab_host pc tapc 10.0.0.3/24
lab_transfer pa pb 1000000 10.0.0.2 tcp
lab_transfer pb pa 1000000 10.0.0.1 tcp
lab_transfer pa pc 1000000 10.0.0.3 tcp
lab_transfer pa pb 60000 10.0.0.2 udp
lab_transfer pb pc 60000 10.0.0.3 udp
lab_transfer pc pa 60000 10.0.0.1 udp

# Several queues or one: one owner, who is named.
for tap in tapm tapa; do
	[ $tap = tapm ] || ip -n pa link set tapa netns $$
	TENON_RUNTIME_DIR=$LAB/other timeout 60 "$TENON" switch run x --port m=tap:$tap >refused 2>&1
	[ $? = 1 ] && grep -q "process $LAB_PID (.*switch run lab" refused || { cat refused; lab_fail "a second owner of $tap"; }
done
ip link set tapa netns pa && ip -n pa address add 10.0.0.1/24 dev tapa && ip -n pa link set tapa up

# Down is not up.
wait_state a up
ip -n pa link set tapa down
wait_state a "down: the interface is not up on the host"
[ "$(lab_stat a up)" = False ] || lab_fail "a port that is down is up"
ip -n pa link set tapa up
wait_state a up

# Renamed.
ip -n pa link set tapa down && ip -n pa link set tapa name tapx && ip -n pa link set tapx up
[ "$(lab_stat a where)" = "tapa (now tapx)" ] || lab_fail "a renamed interface: $(lab_stat a where)"
wait_state a up
lab_transfer pb pa 1000000 10.0.0.1 tcp

# Deleted, and made again.
ip -n pb link delete tapb
wait_state b gone
ip netns delete pb
ip tuntap add dev tapb mode tap
use_and_leave tapb 2>/dev/null	# unless the switch has it already
wait_state b "down: the interface is not up on the host"
lab_host pb tapb 10.0.0.2/24
wait_state b up
ip -n pa neigh flush all	# its address is another
lab_transfer pa pb 1000000 10.0.0.2 tcp
lab_transfer pb pa 1000000 10.0.0.1 tcp
# As often as one likes, and at the end while it is gone.
for _ in 1 2 3; do
	ip -n pb link delete tapb
	wait_state b gone
	ip netns delete pb
	ip tuntap add dev tapb mode tap
	wait_state b "down: the interface is not up on the host"
	lab_host pb tapb 10.0.0.2/24
done
# A link that is down in both ways is as one without a cable, also for an interface that comes back meanwhile.
carrier() { # HOST INTERFACE [NO-]CARRIER
	for _ in $(seq 600); do
		case $(ip -n "$1" link show "$2") in *NO-CARRIER*) [ "$3" = NO-CARRIER ] && return ;; *) [ "$3" = CARRIER ] && return ;; esac
		sleep 0.1
	done
	lab_fail "$2 of $1: expected $3: $(ip -n "$1" link show "$2")"
}
printf 'port a,b down\n' >cut
"$TENON" link schedule lab a cut || lab_fail "link schedule"
carrier pa tapx NO-CARRIER
carrier pb tapb NO-CARRIER
times=$(grep -c 'tapb is there again' switch.out)
ip -n pb link delete tapb
ip netns delete pb
ip tuntap add dev tapb mode tap
for _ in $(seq 600); do [ "$(grep -c 'tapb is there again' switch.out)" -gt "$times" ] && break; sleep 0.1; done
lab_host pb tapb 10.0.0.2/24
carrier pb tapb NO-CARRIER
"$TENON" link schedule lab a clear || lab_fail "link schedule clear"
carrier pa tapx CARRIER
carrier pb tapb CARRIER
ip -n pa neigh flush all
timeout 60 ip netns exec pa busybox ping -c 1 -W 30 10.0.0.2 >ping || { cat ping; lab_fail "ping"; }
ip -n pb link delete tapb
wait_state b gone
lab_end || lab_fail "the switch's exit status was $?"
lab_done
