#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A mirror into a file has a port of its own, which ends with it, also after a restart by the configuration. A port of the user's that has the mirror's
# name and records stays, and so does one that he made in the place of the mirror's.
# timeout: 120
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

run() { # OPTION...
	rm -f lab.out
	"$TENON" switch run lab --socket-dir s "$@" >lab.out 2>&1 &
	switch=$!
	pids+=("$switch")
	wait_for grep -q '^switch lab ready' lab.out
}
end() {
	expect 0 '' "$TENON" switch stop lab
	wait "$switch"
}
mirror() { expect 0 '' "$TENON" switch mirror lab "$@"; }
port() { expect 0 '' "$TENON" switch port "$1" lab "$2"; }
ports() { "$TENON" switch port list lab -H -o name | sort | tr '\n' ' '; }
has() { [ "$(ports)" = "$1 " ] || problem "expected ports $1, found $(ports)"; }
owns() { "$TENON" switch show lab --config | grep -c '"own": *true'; }

run --port a=vhost-user --port m=pcap,record=mine.pcapng
mirror add m a --to m
[ "$(owns)" = 0 ] || problem "the user's port is the mirror's: $("$TENON" switch show lab --config)"
mirror remove m
has 'a m'

# One that the mirror made, and another in its place.
mirror add n a --to ./n.pcapng
has 'a m n'
[ "$(owns)" = 1 ] || problem "not the mirror's: $("$TENON" switch show lab --config)"
port remove n
port add n=pcap,record=also-mine.pcapng
mirror remove n
has 'a m n'
port remove n

# By a configuration.
mirror add n a --to ./n2.pcapng
"$TENON" switch show lab --config >config.json
end
run --config config.json
"$TENON" switch show lab --config | cmp - config.json || problem "the configuration is not the same again"
mirror remove n
has 'a m'
end
sed 's/"mirror": "n"/"mirror": "m"/' config.json >wrong.json
expect 1 'm: own: expected a port of the mirror.s name that records, found "n"' timeout 60 "$TENON" switch run lab --config wrong.json

[ $failures = 0 ] && echo "passed"
[ $failures = 0 ]
