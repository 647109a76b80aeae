#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A server with several data workers: two groups, one of them on an array, and a second array, each piece at home on
# one worker. Commands about each, with one worker and with two; an end under load; a kill.
# SHORT=1: two workers only, and no other tests.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
server=
jobs_running=
# shellcheck disable=SC2086 # a list
cleanup() { kill -9 $server $jobs_running 2>/dev/null; wait; rm -rf "$work"; }
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none
export TENON_DEVICES=$work/p.img:$work/a.img:$work/b.img:$work/c.img:$work/d.img
failures=0
problem() { echo "FAILED line ${BASH_LINENO[1]}: $*"; failures=$((failures + 1)); }
expect() {
	local status=$1 pattern=$2 rc out
	shift 2
	out=$(timeout 60 "$@" 2>&1)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $out"
	grep -Eq -- "$pattern" <<<"$out" || problem "'$*' said: $out; expected: $pattern"
}
json() {
	local expression=$1
	shift
	"$@" | python3 -c "
import json, sys
d = json.load(sys.stdin)
sys.exit(0 if ($expression) else 1)" || problem "'$*': not so: $expression"
}
serve() {
	: >out
	"$TENON" serve --socket-dir s "$@" >out 2>err &
	server=$!
	for _ in $(seq 1200); do
		grep -q '^ready' out && return
		kill -0 $server 2>/dev/null || return
		sleep 0.05
	done
}
ends() { # with status $1
	local rc
	wait $server 2>/dev/null
	rc=$?
	server=
	[ $rc = "$1" ] || problem "the server ended with $rc, expected $1: $(cat err)"
}
threads() { # the data workers of the server
	grep -h '^data-' /proc/$server/task/*/comm | sort | tr '\n' ' '
}
# used NAME: CPU time of that thread in microseconds
used() {
	local task
	for task in /proc/"$server"/task/*; do
		[ "$(cat "$task/comm")" = "$1" ] && awk '{ print int($1 / 1000) }' "$task/schedstat"
	done
}

make_all() {
	rm -f ./*.img
	truncate -s 64M p.img a.img b.img c.img d.img
	"$TENON" vg create vg0 p.img || exit 1
	"$TENON" raid create r1 --level 1 a.img b.img >/dev/null || exit 1
	"$TENON" vg create vg1 md/r1 || exit 1
	"$TENON" raid create r2 --level 1 c.img d.img >/dev/null || exit 1
	for volume in vg0/k vg0/l vg1/k vg1/l; do
		"$TENON" lv create $volume --size 8M || exit 1
	done
}
head -c 8M /dev/urandom >data
own='1 2 8' others='1 2'
[ -n "${SHORT:-}" ] && own=2 others=

for workers in $own; do
	make_all
	serve --workers $workers
	case $workers in
	1) [ "$(threads)" = "data-0 " ] || problem "threads: $(threads)" ;;
	2) [ "$(threads)" = "data-0 data-1 " ] || problem "threads: $(threads)" ;;
	8) [ "$(threads | wc -w)" = 8 ] || problem "three pieces, and queues for all, threads: $(threads)" ;;
	esac
	printf '%s\n' 'md/r2 s/md-r2.sock' 'ready' 'vg0/k s/vg0-k.sock' 'vg0/l s/vg0-l.sock' 'vg1/k s/vg1-k.sock' \
		'vg1/l s/vg1-l.sock' | diff - <(sort out) || problem "not served: $(cat err)"

	# Listings show what every home has.
	json "sorted(v['served'] for v in d) == ['$PWD/s/vg' + v for v in ('0-k.sock', '0-l.sock', '1-k.sock', '1-l.sock')]" \
		"$TENON" lv list --json
	json "sorted(a['name'] for a in d) == ['r1', 'r2']" "$TENON" raid list --json

	# Changes of both groups, at the same time.
	for i in 1 2 3 4; do
		"$TENON" lv create vg0/n$i --size 1M &
		jobs_running="$jobs_running $!"
		"$TENON" lv create vg1/n$i --size 1M &
		jobs_running="$jobs_running $!"
	done
	for job in $jobs_running; do wait "$job" || problem "a change failed"; done
	jobs_running=
	expect 0 '' "$TENON" lv rename vg0/n1 m1
	expect 0 '' "$TENON" lv resize vg1/n1 --size 4M
	expect 0 '' "$TENON" lv remove vg1/n2
	expect 1 'n2' "$TENON" lv remove vg1/n2
	expect 1 'exists already' "$TENON" lv create vg0/k --size 1M
	json "len([v for v in d if '/s/' in (v['served'] or '')]) == 11" "$TENON" lv list --json

	# Data through the sockets; nothing is at the other's place.
	expect 0 '' "$TENON" copy data vg0/k
	expect 0 '' "$TENON" copy data vg1/k
	expect 0 '' "$TENON" copy data md/r2 --force
	for volume in vg0/k vg1/k; do
		"$TENON" copy $volume - 2>/dev/null | cmp - data || problem "$volume differs"
	done

	# A member goes and another comes, while the server runs.
	expect 0 '' "$TENON" raid fail r1 "$work/b.img"
	expect 0 '' "$TENON" raid remove r1 "$work/b.img"
	expect 0 '' "$TENON" raid add r1 "$work/b.img"
	expect 0 '' "$TENON" raid rebuild r1
	json "not d['degraded']" "$TENON" raid show r1 --json
	expect 1 'silly' "$TENON" raid add r2 "$work/silly.img"

	kill -TERM $server
	ends 0
	# All of it is on the disks.
	"$TENON" copy vg1/k - 2>/dev/null | cmp - data || problem "vg1/k differs after the end"
	json "sorted(v['name'] for v in d if v['vg'] == 'vg1') == ['k', 'l', 'n1', 'n3', 'n4']" "$TENON" lv list --json
	json "d['clean'] and not d['degraded']" "$TENON" raid show r1 --json
done

# Each group uses the processor of its own worker.
serve --workers 2
first=$(used data-0) second=$(used data-1)
for _ in $(seq 20); do "$TENON" copy vg0/k /dev/null; done >/dev/null 2>&1
zero=$(($(used data-0) - first)) one=$(($(used data-1) - second))
for _ in $(seq 20); do "$TENON" copy vg1/k /dev/null; done >/dev/null 2>&1
other_zero=$(($(used data-0) - first - zero)) other_one=$(($(used data-1) - second - one))
[ $(((zero - one) * (other_zero - other_one))) -lt 0 ] ||
	problem "vg0 used $zero and $one us of the two workers, vg1 $other_zero and $other_one"

# The end under load: in time, and arrays are clean.
load() { while "$TENON" copy data "$1"; do :; done >/dev/null 2>&1; }
load vg0/k & jobs_running=$!
load vg1/k & jobs_running="$jobs_running $!"
(while "$TENON" lv create vg1/t --size 1M && "$TENON" lv remove vg1/t; do :; done >/dev/null 2>&1) & jobs_running="$jobs_running $!"
sleep 1
kill -TERM $server
ends 0
# shellcheck disable=SC2086 # a list
kill $jobs_running 2>/dev/null; wait; jobs_running=
json "d['clean']" "$TENON" raid show r1 --json

# Killed under load; whoever comes next finds both groups, and the array resyncs.
serve --workers 2
load vg0/l & jobs_running=$!
load vg1/l & jobs_running="$jobs_running $!"
sleep 1
kill -9 $server
ends 137
# shellcheck disable=SC2086 # a list
kill $jobs_running 2>/dev/null; wait; jobs_running=
serve --workers 2
expect 0 '' "$TENON" copy data vg1/l
"$TENON" copy vg1/l - 2>/dev/null | cmp - data || problem "vg1/l differs"
expect 0 '' "$TENON" raid rebuild r1
kill -TERM $server
ends 0

# What else is tested of servers, with one worker and with two.
cd "$OLDPWD" || exit 1
for workers in $others; do
	for other in serve_objects serve_hung raid_members; do
		TENON_WORKERS=$workers "tests/interop/${other}_test.sh" >"$work/other" 2>&1 ||
			problem "$other with $workers workers: $(tail -n 20 "$work/other")"
	done
done

[ $failures = 0 ] && echo passed
exit $((failures > 0))
