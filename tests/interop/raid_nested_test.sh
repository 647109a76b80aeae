#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays of arrays: what is done with an inner one starts no outer one, which would lose the members that it has elsewhere;
# and an array that had left another one comes back, under a server and without one.
# timeout: 180
set -u
. "$(dirname "$0")/lib.sh"
server=
cleanup() {
	[ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"
}
cd "$work" || exit 1
serve() {
	"$TENON" serve --socket-dir s "$@" >served 2>&1 &
	server=$!
	for _ in $(seq 600); do
		grep -q '^ready' served && return
		sleep 0.05
	done
	problem "serve $*"
}
end() {
	kill $server
	wait $server || problem 'the server'
	server=
}
fresh() { # LEVEL of the inner ones
	rm -f ./*.img
	truncate -s 20M a.img b.img c.img d.img
	export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img:$work/d.img
	expect 0 ^ "$TENON" raid create in1 --level "$1" a.img b.img
	expect 0 ^ "$TENON" raid create in2 --level "$1" c.img d.img
	expect 0 ^ "$TENON" raid create out --level 1 --bitmap internal --bitmap-chunk 4K --assume-clean md/in1 md/in2
}
two() { expect 0 '"working": 2' "$TENON" raid show out --json; }

# ---- Inner mirrors, one of which loses a disk ----
fresh 1
expect 0 ^ "$TENON" raid check in2
expect 0 ^ "$TENON" raid fail in1 "$work/a.img"
two
expect 3 ^ "$TENON" raid check in1 --degraded
two
expect 0 ^ "$TENON" raid remove in1 "$work/a.img"
expect 0 ^ "$TENON" raid add in1 "$work/a.img"
expect 0 ^ "$TENON" raid rebuild in1
two
mv a.img away
expect 1 'insist with --degraded' "$TENON" raid check in1
expect 3 ^ "$TENON" raid check in1 --degraded
mv away a.img
two
expect 0 '0 bytes differ' "$TENON" raid check out
serve md/in1
expect 0 ^ "$TENON" raid check in1 --degraded
end
two

# ---- Inner stripes: one leaves the mirror, and comes back ----
fresh 0
expect 0 ^ "$TENON" raid fail out md/in1
expect 0 ^ "$TENON" raid remove out md/in1
dd if=/dev/urandom of=data bs=64K count=100 2>/dev/null
expect 0 ^ "$TENON" copy data md/out --yes
expect 1 ^ "$TENON" raid add out md/out
expect 1 'no such array' "$TENON" raid add out md/none
expect 0 ^ "$TENON" raid add out md/in1
expect 0 ^ "$TENON" raid rebuild out
expect 0 '0 bytes differ' "$TENON" raid check out
two
serve md/out
expect 0 ^ "$TENON" raid fail out md/in2
expect 0 ^ "$TENON" raid remove out md/in2
expect 0 'still degraded, 1 of 2 places' "$TENON" raid rebuild out
expect 1 'is no array that was started here' "$TENON" raid add out md/none
expect 0 ^ "$TENON" raid add out md/in2
expect 0 ^ "$TENON" raid rebuild out
two
end
two
expect 0 '0 bytes differ' "$TENON" raid check out
expect 0 ^ "$TENON" copy md/out back --force
cmp -n 6553600 data back || problem 'other data'

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
