#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An ordinary user's network namespaces (`unshare -rn`), from outside of them: TAPs that `tenon nic` makes there, and a switch
# between two of them, without root anywhere; the namespace of another user is refused.
set -u
TENON=${TENON:-$(cd "$(dirname "$0")/../.." && pwd)/${BUILD:-build}/tenon}
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
skip() { echo "$*"; exit 77; }
[ -x "$TENON" ] || skip "$TENON is not built"
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
if [ "$(id -u)" = 0 ]; then
	work=$(mktemp -d)
	cp "$TENON" "$(readlink -f "$0")" "$work"
	chmod -R 755 "$work"
	unshare -n sleep 3600 &
	other=$!
	cd "$work"
	TENON=$work/tenon OTHER=$other setpriv --reuid=65534 --regid=65534 --clear-groups "$work/$(basename "$0")"
	status=$?
	kill $other
	cd / && rm -rf "$work"
	exit $status
fi
unshare -rn true 2>/dev/null || skip "user namespaces cannot be made here"
failures=0 pids=() work=$(mktemp -d)
export TENON_RUNTIME_DIR=$work/runtime
clean() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	wait
	rm -rf "$work"
}
trap clean EXIT
cd "$work"

# Two namespaces, each of a user namespace of its own; they are there once the shell in them says so.
for host in one two; do
	mkfifo $host
	unshare -rn sh -c 'echo $$ >'$host'; exec sleep 3600' &
	pids+=($!)
	read -r pid <$host
	eval $host=$pid
done
inside() { nsenter -t "$1" -U -n --preserve-credentials "${@:2}"; }

"$TENON" nic create tap0 --netns "$one" --up --address 10.0.0.1/24 --mtu 1400 >out || fail "create tap0"
"$TENON" nic create tap0 --netns "/proc/$two/ns/net" --up --address 10.0.0.2/24 >out || fail "create the other tap0"
inside "$one" ip -o address show dev tap0 | grep -q 'inet 10\.0\.0\.1/24' || fail "tap0 has no address: $(inside "$one" ip address)"
"$TENON" nic list --netns "$one" -H -o name,mtu 2>&1 | grep -q 'tap0.*1400' || fail "nic list: $("$TENON" nic list --netns "$one" 2>&1)"
[ "$(grep -c tap0: /proc/net/dev)" = 0 ] || fail "tap0 was made outside"

"$TENON" switch run lab --socket-dir "$work" --port a=tap:tap0,netns="$one" --port b=tap:tap0,netns="$two" >switch.out 2>&1 &
switch=$!
pids+=($switch)
for _ in $(seq 600); do
	grep -qs ready switch.out && break
	kill -0 $switch 2>/dev/null || break
	sleep 0.1
done
inside "$one" busybox ping -c 2 -W 10 10.0.0.2 >ping.out 2>&1 || fail "no answer: $(cat ping.out switch.out)"
# A port that comes later, and is made by the switch.
"$TENON" switch port add lab c=tap:tap1,netns="$one" || fail "port add"
inside "$one" ip link show dev tap1 >/dev/null || fail "tap1 is not there"
kill $switch
wait $switch || fail "the switch's exit status was $?"

kill "${pids[0]}"
while kill -0 "$one" 2>/dev/null; do sleep 0.1; done
"$TENON" nic list --netns "$one" 2>err && fail "a namespace of nobody was found"
grep -q 'is its number' err || fail "no advice: $(cat err)"
if [ -n "${OTHER:-}" ]; then
	"$TENON" nic list --netns "$OTHER" 2>err && fail "root's namespace was entered"
	grep -q 'Operation not permitted\|Permission denied' err || fail "$(cat err)"
fi
[ $failures = 0 ]
