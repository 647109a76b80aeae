#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Resyncs, rebuilds and checks of arrays that a server runs: ended, slowed down, told of.
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES="$work/[a-f].img"

serve() {
	rm -f out err # what the last one said is there until the shell has truncated it
	"$TENON" serve --socket-dir s "$@" >out 2>err &
	pids=($!)
	await grep -q ^ready out || cat err
}

stop() {
	kill "${pids[0]}" && wait "${pids[0]}"
	pids=()
}

# Until a command succeeds.
await() {
	local end=$((SECONDS + 100))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { problem "waited in vain for: $*"; return 1; }
		sleep 0.1
	done
}

is() { "$TENON" raid show r --json | python3 -c "import json, sys; d = json.load(sys.stdin); p = d['progress']; sys.exit(not ($1))"; }

# ---- Nobody runs it ----
truncate -s 256M a.img b.img
head -c 1M /dev/urandom | dd of=a.img bs=1M seek=100 conv=notrunc status=none
expect 0 '' "$TENON" raid create r --level 1 a.img b.img
expect 0 'nothing runs: no server has it' "$TENON" raid stop-sync r
expect 1 'no such array' "$TENON" raid stop-sync other

# ---- A check that is ended has not found that nothing differs ----
expect 0 '' "$TENON" raid rebuild r
head -c 512 /dev/urandom | dd of=b.img bs=1M seek=250 conv=notrunc status=none
serve md/r
expect 0 'nothing runs' "$TENON" raid stop-sync r
expect 0 '' "$TENON" raid speed r --max 1M
(
	"$TENON" raid check r >check.out 2>&1
	echo $? >check.rc
) &
checking=$!
await is "p['operation'] == 'check'"
expect 0 'check ended' "$TENON" raid stop-sync r
wait $checking
[ "$(cat check.rc)" = 3 ] || problem "a check that was ended gave $(cat check.rc): $(cat check.out)"
grep -q 'the check was ended after' check.out || problem "a check that was ended said: $(cat check.out)"
is "p['cut_short'] and p['scrub'] == 'check'" || problem 'the listing does not say that it was cut short'

# ---- A bitmap under a server ----
expect 1 'has no bitmap' "$TENON" raid bitmap r remove
expect 0 '' "$TENON" raid bitmap r add --chunk 1M
is "d['bitmap']['chunk_bytes'] == 1 << 20 and d['consistency'] == 'bitmap'" || problem 'no bitmap was added'
expect 1 'has a bitmap already' "$TENON" raid bitmap r add
expect 0 '' "$TENON" raid bitmap r remove
is "d['bitmap'] is None" || problem 'the bitmap is still there'
expect 2 'expected add or remove' "$TENON" raid bitmap r none

# ---- A rebuild is held, and goes on ----
truncate -s 256M c.img
expect 0 '' "$TENON" raid fail r "$work/b.img"
expect 0 '' "$TENON" raid add r "$work/c.img"
await is "p['operation'] == 'recover'"
expect 1 'recover is running' "$TENON" raid bitmap r add
expect 0 'go on|goes on' "$TENON" raid stop-sync r
is "p['held'] and d['degraded'] and 'stopped' in d['state']" || problem "not held: $("$TENON" raid show r)"
# Who waits for it is told that it was not done.
(
	"$TENON" raid rebuild r >rebuild.out 2>&1
	echo $? >rebuild.rc
) &
rebuilding=$!
await is "not p['held'] and p['operation'] == 'recover'"
expect 0 'go on|goes on' "$TENON" raid stop-sync r
wait $rebuilding
[ "$(cat rebuild.rc)" = 1 ] && grep -q 'was ended with [1-9][0-9.]* MiB to go' rebuild.out && grep -q 'goes on from there' rebuild.out ||
	problem "a rebuild that was held gave $(cat rebuild.rc): $(cat rebuild.out)"
expect 0 '' "$TENON" raid speed r --max none
is "p['held']" || problem 'another speed let it go on'
expect 0 '' "$TENON" raid rebuild r
is "not p['held'] and not d['degraded']" || problem 'it did not go on'

# ---- A spare that came while the server ran is known to it by its name ----
truncate -s 256M d.img
expect 0 '' "$TENON" raid add r "$work/d.img"
expect 1 'is a member of md/r already' "$TENON" raid add r "$work/d.img"
expect 0 '' "$TENON" raid replace r "$work/a.img" --with "$work/d.img"
await is "d['counts'] == {'total': 4, 'active': 2, 'working': 2, 'faulty': 2, 'spare': 0} and d['places'] == 'UU'"
stop

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
