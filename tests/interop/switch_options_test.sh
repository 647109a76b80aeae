#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon switch run`: the folder of its sockets, who may connect to them, and the ranges of its numbers.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
chmod 755 "$work"
pids=()
cleanup() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run
failures=0
problem() { echo "FAILED line ${BASH_LINENO[0]}: $*"; failures=$((failures + 1)); }

refused() { # STATUS TEXT ARGUMENT...
	local status=$1 text=$2 rc
	shift 2
	timeout 60 "$TENON" switch run "$@" >said 2>&1
	rc=$?
	[ $rc = "$status" ] && grep -qF -- "$text" said || problem "run $*: $rc, expected $status and '$text': $(cat said)"
}
start() { # NAME ARGUMENT...
	rm -f "$1.out"
	"$TENON" switch run "$@" >"$1.out" 2>&1 &
	pids+=($!)
	for _ in $(seq 1200); do grep -qs ready "$1.out" && return; sleep 0.05; done
	problem "switch $1 did not start: $(cat "$1.out")"
}
stop() {
	kill -TERM "${pids[-1]}"
	wait "${pids[-1]}" || problem "exit status $?"
	unset 'pids[-1]'
}
mode() { stat -c '%a %g' "$1"; }

# A name that no switch can have is no path to a socket.
for name in ../s0 '' 'a b'; do
	"$TENON" switch stop "$name" 2>said && problem "a switch \"$name\" was ended"
	grep -q "switch name \"$name\": expected letters" said || problem "\"$name\": $(cat said)"
done

# The folder is made, readable by nobody else; a folder that is there is left as it is.
start s0 --socket-dir made --port a=vhost-user
[ "$(mode made)" = "700 $(id -g)" ] || problem "made: $(mode made)"
[ "$(mode made/a.sock)" = "600 $(id -g)" ] || problem "a.sock: $(mode made/a.sock)"
stop
# What is said of it is one line, whatever it is called, and nothing that a terminal obeys.
start s2 --socket-dir $'two\n\033[2Jlines' --port a=vhost-user
[ "$(wc -l <s2.out)" = 1 ] && grep -qF 'two\x0a\x1b[2Jlines/a.sock' s2.out || problem "s2: $(cat -v s2.out)"
stop
# Where there is no /proc, sockets of the usual mode are made as ever, and what needs it says so.
user=()
[ "$(id -u)" = 0 ] || user=(-r)
bare() {
	timeout 60 unshare "${user[@]}" -m bash -c 'mount -t tmpfs none /proc && exec "$0" "$@"' "$TENON" switch run s3 --socket-dir bare "$@" >bare.out 2>&1
}
if unshare "${user[@]}" -m mount -t tmpfs none /proc 2>/dev/null; then
	bare --port a=vhost-user --socket-mode 0666 && problem "bare: $(cat bare.out)"
	grep -q 'mount /proc' bare.out || problem "bare: $(cat bare.out)"
	bare --port a=user && problem "bare: $(cat bare.out)"
	grep -q 'needs /proc/self/exe' bare.out || problem "bare: $(cat bare.out)"
	rm bare.out
	bare --port a=vhost-user --port b=qemu-stream &
	for _ in $(seq 1200); do grep -qs 'ready\|tenon:' bare.out && break; sleep 0.05; done
	grep -q 'ready: a=bare/a.sock, b=bare/b.sock' bare.out || problem "bare: $(cat bare.out)"
	"$TENON" switch stop s3 || problem "s3 was not ended"
	wait $!
fi
mkdir -m 755 there
(umask 0; start s1 --socket-dir there --port a=vhost-user --socket-mode 0666
[ "$(mode there)" = "755 $(id -g)" ] || problem "there: $(mode there)"
[ "$(mode there/a.sock)" = "666 $(id -g)" ] || problem "a.sock: $(mode there/a.sock)"
stop; exit $failures) || failures=$((failures + 1))

# Without vhost-user ports no folder is wanted, and none is made.
start s2
stop
refused 2 'ports without an address have their sockets there' x --port a=vhost-user
refused 1 'Not a directory' x --socket-dir s0.out --port a=vhost-user

# A member of the group gets in, another user does not.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ -x /usr/bin/python3 ]; then
	start s3 --socket-dir shared --socket-group 4711 --port a=vhost-user
	[ "$(mode shared)" = "750 4711" ] || problem "shared: $(mode shared)"
	[ "$(mode shared/a.sock)" = "660 4711" ] || problem "a.sock: $(mode shared/a.sock)"
	connect() {
		setpriv --reuid 4712 --regid "$1" --clear-groups /usr/bin/python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' shared/a.sock 2>/dev/null
	}
	connect 4711 || problem "a member of the group does not get in"
	connect 4713 && problem "somebody else gets in"
	# Who is in no group but his own cannot give sockets to another.
	mkdir -m 777 users
	install -m 755 "$TENON" users/tenon # our own folder may be nobody else's to enter
	setpriv --reuid 4712 --regid 4712 --clear-groups env TENON_RUNTIME_DIR="$work/users/run" timeout 60 users/tenon \
		switch run x --socket-dir users/d --socket-group 4711 --port a=vhost-user >said 2>&1
	grep -q 'one that this user is in' said || problem "another's group: $(cat said)"
	[ ! -e users/d ] || problem "a folder was left"
	stop
fi

refused 2 "there is no group of that name" x --socket-dir d --socket-group none-such --port a=vhost-user
refused 2 "from 0600 to 0777" x --socket-dir d --socket-mode 0777777 --port a=vhost-user
refused 2 "from 0600 to 0777" x --socket-dir d --socket-mode 0060 --port a=vhost-user
refused 2 "from 0 to 1000000" x --ageing 18446744074
refused 2 "from 0 to 1000000" x --ageing -1
refused 2 "from 0 to 1000000" x --ageing 5m
refused 2 "from 1 to 9223372036854775807" x --seed 9223372036854775808
[ ! -e d ] || problem "a refused switch made its folder"

# Open files: the soft limit is raised, and too low a hard one is said beforehand.
(ulimit -Sn 50; start f0 --socket-dir f --port a=vhost-user --port b=vhost-user
[ "$(awk '/open files/ { print $4 }' /proc/${pids[-1]}/limits)" = "$(ulimit -Hn)" ] || problem "the limit was not raised"
grep -q 'open files' f0.out && problem "$(cat f0.out)"
stop; exit $failures) || failures=$((failures + 1))
(ulimit -n 70; start f1 --socket-dir f --port a=vhost-user --port b=vhost-user
grep -q '2 ports may need 96 open files, and the limit is 70' f1.out || problem "not said: $(cat f1.out)"
stop; exit $failures) || failures=$((failures + 1))

# An ageing time of 0 is a hub.
start hub --ageing 0
[ "$("$TENON" switch show hub --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["table"]["ageing_seconds"])')" = 0 ] ||
	problem "ageing 0 is something else"
stop
[ $failures = 0 ]
