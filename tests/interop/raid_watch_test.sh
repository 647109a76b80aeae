#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What happens to arrays is told (raid watch), spares go in by themselves, and move between the arrays of a group.
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES="$work/[a-j].img"

await() {
	local end=$((SECONDS + 100))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { problem "waited in vain for: $*"; tail -n 20 events err; return 1; }
		sleep 0.1
	done
}
serve() {
	rm -f out err # what the last one said is there until the shell has truncated it
	"$TENON" serve --socket-dir s "$@" >out 2>err &
	server=$!
	pids+=($server)
	await grep -q ^ready out
}
stop() { kill $server && wait $server; }
told() { grep -Eq "^[0-9-]*T[0-9:]*Z $1\$" events; }
is() { "$TENON" raid show "$1" --json | python3 -c "import json, sys; d = json.load(sys.stdin); m = {x['device'].rsplit('/', 1)[1]: x['state'] for x in d['members']}; sys.exit(not ($2))"; }

truncate -s 64M a.img b.img c.img d.img e.img f.img g.img
expect 0 '' "$TENON" raid create one --level 1 a.img b.img --spare c.img
expect 0 '' "$TENON" raid create two --level 5 d.img e.img f.img
expect 2 'expected NAME=ARRAY' "$TENON" serve --socket-dir s --spare-group one,two
expect 0 '' "$TENON" raid watch --oneshot

serve md/one --spare-group pool=one,md/tow,two
await grep -q 'spare-group pool=one,md/tow,two: this server runs no array md/tow' err
await grep -q 'this server runs no array two' err
! grep -q 'no array one' err || problem "an array that is served: $(cat err)"
stop

cat >program <<'PROGRAM'
#!/bin/sh
echo "$# $*" >>called
PROGRAM
chmod +x program
# What it finds when it begins shows that it has begun.
truncate -s 32M h.img
expect 0 '' "$TENON" raid create small --level 1 h.img missing
"$TENON" serve --socket-dir first md/small >first.out 2>&1 &
first=$!
pids+=($first)
await grep -q ^ready first.out
"$TENON" raid watch --exec "$work/program" >events 2>watch.err &
pids+=($!)
await told 'DegradedArray md/small'
kill $first && wait $first
await told 'DeviceDisappeared md/small'
serve md/one md/two --spare-group pool=one,md/two
! grep -q 'runs no array' err || problem "arrays that are served: $(cat err)"
await told 'NewArray md/one'
await told 'NewArray md/two'

# ---- A spare goes in by itself ----
expect 0 '' "$TENON" raid fail one "$work/b.img"
await told 'SpareActive md/one .*/c.img'
told 'Fail md/one .*/b.img' || problem 'no Fail'
await told 'RebuildFinished md/one'
told 'RebuildStarted md/one' || problem "no RebuildStarted: $(cat events)"
is one "not d['degraded'] and m['c.img'] == 'in sync'" || problem 'the spare is not in'
# What is told of is told to the program next.
await grep -q '^2 RebuildFinished md/one$' called || problem "the program was called otherwise: $(cat called)"
grep -q "^3 Fail md/one $work/b.img" called || problem "the program was called otherwise: $(cat called)"

# ---- One of another array of the group goes where none is ----
expect 0 '' "$TENON" raid remove one "$work/b.img"
expect 0 '' "$TENON" raid add one "$work/b.img"
is one "m['b.img'] == 'spare'" || problem 'b.img is no spare'
expect 0 '' "$TENON" raid fail two "$work/e.img"
await told 'MoveSpare md/two md/one'
await told 'SpareActive md/two .*/b.img'
is two "not d['degraded'] and m['b.img'] == 'in sync'" || problem 'it did not move'
is one "'b.img' not in m" || problem 'it is in both'
expect 0 '' "$TENON" raid remove two "$work/e.img"

# ---- Differences, and the end ----
printf 'DIFFERS' | dd of=a.img bs=1M seek=40 conv=notrunc status=none
expect 1 'differ' "$TENON" raid check one
await told 'RebuildFinished md/one mismatches found: 1 .on raid level 1.'
stop
await told 'DeviceDisappeared md/two'

# ---- At the start: degraded, and a spare goes in at assembly ----
expect 0 '' "$TENON" raid fail one "$work/c.img"
expect 0 '' "$TENON" raid add one "$work/g.img"
serve --spare-group pool=one,two,small md/one md/two md/small
await told 'NewArray md/small'
await told 'SpareActive md/one .*/g.img'
json "d['event'] == 'DegradedArray' and d['array'] == 'md/small' and d['component'] is None" "$TENON" raid watch small --oneshot --json
expect 0 'SparesMissing md/two$' "$TENON" raid watch two --oneshot --spares 1
expect 0 'SparesMissing md/two$' "$TENON" raid watch two --oneshot --spares md/two=2 --spares 0
[ -z "$("$TENON" raid watch two --oneshot --spares two=0 --spares one=7 --spares 3 | grep SparesMissing)" ] || problem "spares are missing that nobody expects"
expect 2 'expected N or ARRAY=N' "$TENON" raid watch --oneshot --spares two=x
expect 0 'TestMessage md/two' "$TENON" raid watch two --oneshot --test
expect 0 'no server of this user runs an array' env TENON_RUNTIME_DIR="$work/nobody" "$TENON" raid watch --oneshot
expect 0 'no server runs it' "$TENON" raid watch other --oneshot
expect 2 '[-]-exec: .*/none: No such file' "$TENON" raid watch small --oneshot --exec "$work/none"
expect 2 '[-]-exec: .*: Is a directory' "$TENON" raid watch small --oneshot --exec "$work"
expect 2 '[-]-exec: mail root: no such program' "$TENON" raid watch small --oneshot --exec 'mail root'
stop
[ ! -s watch.err ] || problem "watch said: $(cat watch.err)"

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
