# SPDX-License-Identifier: BSD-2-Clause
# For tests of `tenon switch` with real network stacks; to be sourced. Runs the whole test in a network
# and mount namespace of its own (as another user than root, with a user namespace round it), where
# `ip netns` has its own /run/netns, so that nothing is left behind.
#
#	lab_enter "$@"			restarts the script in there; skips where that is not allowed
#	lab_switch NAME OPTION...	starts `tenon switch run` and waits until it is ready
#	lab_said PATTERN			waits until its log has that, which a thread of its own writes
#	lab_show				prints what `tenon switch show --json` says of it
#	lab_stat PORT KEY		one number of a port
#	lab_end				ends the switch; its exit status
#	lab_host NAME IFACE ADDRESS...	a namespace NAME with the interface IFACE and these addresses
#	lab_reach FROM ADDRESS		waits until ADDRESS answers the namespace FROM
#	lab_carry FROM INTERFACE TO INTERFACE [MOST [OTHER INTERFACE]...]	200 frames of 60 to MOST bytes (1514), which must come whole, all and in order,
#				and not to others
#	lab_fail TEXT			notes a failure
#	lab_done				ends the test

. "$(dirname "${BASH_SOURCE[0]}")/../processes.sh"
TENON=${TENON:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/${BUILD:-build}/tenon}
LAB_FRAMES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/switch_frames.py
lab_failures=0
lab_seed=0

lab_skip() { echo "$*"; exit 77; }
lab_fail() { echo "FAILED: $*"; lab_failures=$((lab_failures + 1)); }

lab_enter() {
	local user=()
	[ -n "${LAB_ENTERED:-}" ] || {
		[ -x "$TENON" ] || lab_skip "$TENON is not built"
		[ "$(id -u)" = 0 ] || user=(-r)
		unshare "${user[@]}" -nm true 2>/dev/null || lab_skip "network namespaces cannot be made here"
		export LAB_ENTERED=1 TENON
		exec unshare "${user[@]}" -nm "$0" "$@"
	}
	[ -c /dev/net/tun ] || lab_skip "there is no /dev/net/tun"
	command -v ip >/dev/null || lab_skip "iproute2 is not installed"
	mount -t tmpfs none /run && mkdir /run/netns || lab_skip "cannot mount a tmpfs"
	ip link set lo up
	LAB=$(mktemp -d)
	export TENON_RUNTIME_DIR=$LAB/runtime
	LAB_PIDS=()
	trap lab_clean EXIT
	cd "$LAB"
}

lab_clean() {
	local pid
	for pid in "${LAB_PIDS[@]}"; do kill "$pid"; kill -CONT "$pid"; done 2>/dev/null # one may be stopped
	wait
	cd /
	rm -rf "$LAB"
}

lab_background() { "$@" & LAB_PIDS+=($!); }

lab_switch() {
	LAB_SWITCH=$1; shift
	rm -f switch.out # the last one's may say "ready" until the shell has truncated it
	"$TENON" switch run "$LAB_SWITCH" --socket-dir "$LAB" "$@" >switch.out 2>&1 &
	LAB_PID=$!
	LAB_PIDS+=($LAB_PID)
	for _ in $(seq 1200); do
		grep -qs ready switch.out && return
		kill -0 $LAB_PID 2>/dev/null || break
		sleep 0.05
	done
	cat switch.out
	lab_fail "the switch did not start"
	exit 1
}

lab_said() {
	for _ in $(seq 1200); do grep -q -- "$1" switch.out && return; sleep 0.05; done
	lab_fail "line ${BASH_LINENO[0]}: not said: $1: $(cat switch.out)"
}

lab_show() { "$TENON" switch show "$LAB_SWITCH" --json; }

lab_stat() {
	lab_show | python3 -c 'import json, sys
print([p for p in json.load(sys.stdin)["ports"] if p["name"] == sys.argv[1]][0][sys.argv[2]])' "$1" "$2"
}

lab_end() {
	kill -TERM $LAB_PID
	wait $LAB_PID
}

lab_host() {
	local name=$1 interface=$2 address
	shift 2
	ip netns add "$name"
	ip link set "$interface" netns "$name"
	ip -n "$name" link set lo up
	for address; do
		case $address in
		*:*) ip -n "$name" address add "$address" dev "$interface" nodad ;;
		*) ip -n "$name" address add "$address" dev "$interface" ;;
		esac
	done
	ip -n "$name" link set "$interface" up
}

lab_reach() {
	for _ in $(seq 60); do ip netns exec "$1" busybox ping -c 1 -W 1 "$2" >ping && return; done
	lab_fail "no answer from $2: $(cat ping)"
	lab_done
}

lab_done() {
	[ $lab_failures = 0 ] && exit 0
	cat switch.out
	"$TENON" switch show "$LAB_SWITCH" 2>/dev/null
	exit 1
}

# A transfer of $3 bytes from namespace $1 to $2 (address $4) over tcp or udp ($5), checked by content; unordered: udp in any order.
# With udp, datagrams of $6 bytes; so few in all that they fit into a socket's buffer. The neighbour is found before
# them: while the kernel sends what waited for the answer (neigh_update()), later datagrams overtake it.
lab_transfer() {
	local from=$1 to=$2 bytes=$3 address=$4 kind=$5 size=${6:-1400}
	rm -f port
	if [ "$kind" != tcp ]; then
		timeout 60 ip netns exec "$from" busybox ping -c 1 -W 30 "$address" >ping ||
			{ cat ping; lab_fail "no answer to $from from $to ($address)"; }
	fi
	timeout 300 ip netns exec "$to" python3 - "$kind" "$bytes" "$address" "$size" >received <<'PYTHON' &
import hashlib, os, socket, sys
kind, total, address, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
digest, got = hashlib.sha256(), 0
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((address, 5001))
if kind == "tcp":
    s.listen(1)
open("port", "w").close()
if kind == "tcp":
    s = s.accept()[0]
s.settimeout(120)
datagrams = []
while got < total:
    data = s.recv(1 << 20)
    if not data:
        break
    datagrams.append(data)
    got += len(data)
digest.update(b"".join(sorted(datagrams) if kind == "unordered" else datagrams))
print(got, digest.hexdigest())
PYTHON
	local receiver=$!
	for _ in $(seq 1200); do [ -e port ] && break; sleep 0.05; done
	timeout 300 ip netns exec "$from" python3 - "$kind" "$bytes" "$address" "$size" >sent <<'PYTHON'
import hashlib, random, socket, sys
kind, total, address, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
data = random.Random(7).randbytes(total)
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.connect((address, 5001))
if kind == "tcp":
    s.sendall(data)
else:
    for at in range(0, total, size):
        s.send(data[at:at + size])
if kind == "unordered":
    data = b"".join(sorted(data[at:at + size] for at in range(0, total, size)))
print(total, hashlib.sha256(data).hexdigest())
PYTHON
	wait $receiver
	[ -s sent ] && cmp -s sent received || lab_fail "$kind transfer from $from to $to: $(cat sent) sent, $(cat received) received"
}

# Each time of another seed: what is late from the last one is not taken for these.
lab_carry() {
	local most=${5:-1514} heard
	lab_seed=$((lab_seed % 250 + 1))
	heard=$(timeout 100 python3 "$LAB_FRAMES" carry $lab_seed 200 "$most" "${@:1:4}" "${@:6}" 2>&1)
	[ "$heard" = "200 whole 0 wrong 0 elsewhere" ] || lab_fail "line ${BASH_LINENO[0]}: frames from $1 to $3: $heard"
}
