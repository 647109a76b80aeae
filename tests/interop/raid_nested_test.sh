#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays of arrays: what is done with an inner one starts no outer one, which would lose the members that it has elsewhere;
# an array that had left another one comes back, under a server and without one; and what lies below something is not written to beside it.
set -u
. "$(dirname "$0")/lib.sh"
server=
cleanup() {
	[ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"
}
cd "$work" || exit 1
serve() {
	rm -f served # what the last one said is there until the shell has truncated it
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

# ---- Inner mirrors with superblocks at the end: the outer array's, at the start of each, are among their data, and younger ----
rm -f ./*.img
truncate -s 20M a.img b.img c.img d.img
expect 0 ^ "$TENON" raid create in1 --level 1 --metadata 1.0 a.img b.img
expect 0 ^ "$TENON" raid create in2 --level 1 --metadata 1.0 c.img d.img
sleep 1.1
expect 0 ^ "$TENON" raid create out --level 0 md/in1 md/in2
head -c 30M /dev/urandom >data
expect 0 ^ "$TENON" copy data md/out --force
for name in in1 in2 out; do expect 0 '"state": "clean".*"working": 2' sh -c "'$TENON' raid show $name --json | tr -d '\n'"; done
expect 0 'Name *in1' "$TENON" raid examine a.img
mv b.img away
expect 0 ^ "$TENON" copy md/out back
cmp -n 31457280 data back || problem 'the outer array has other data without a disk'
mv away b.img
# Also where the disk's own is damaged.
printf x | dd of=a.img bs=1 seek=$((20 * 1024 * 1024 - 8192 + 40)) conv=notrunc status=none
expect 0 'byte 20963328: checksum is' sh -c "'$TENON' raid examine a.img 2>&1; :"
expect 0 'md/in1: starts with 1 of 2' "$TENON" copy md/out back --degraded
cmp -n 31457280 data back || problem 'the outer array has other data with a damaged disk'
# Left over from an earlier array, whose data went on to the device's end: the younger is the one.
truncate -s 20M e.img f.img
TENON_DEVICES=$work/e.img expect 0 ^ "$TENON" raid create old --level 1 --metadata 1.0 --bitmap none e.img missing
tail -c 64K e.img >end
TENON_DEVICES=$work/f.img expect 0 ^ "$TENON" raid create new --level 1 --metadata 1.2 f.img missing
dd if=end of=f.img bs=64K seek=319 conv=notrunc status=none
expect 0 'Name *new' "$TENON" raid examine f.img
rm e.img f.img

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

# ---- What an array lies on is no disk beside it ----
fresh 1
serve
grep -q '^md/out ' served && ! grep -q '^md/in' served || problem "served: $(cat served)"
end
expect 1 'md/in1: is a member of md/out' timeout 100 "$TENON" serve --socket-dir s md/out md/in1
expect 1 'md/in1: is a member of md/out' timeout 100 "$TENON" serve --socket-dir s md/in1 md/out
serve md/in1
expect 1 'a server has some of what it lies on' "$TENON" raid check out
expect 0 'a server has some of what it lies on' "$TENON" raid show out
two
end

# ---- A device and an array in one ----
rm -f ./*.img
truncate -s 20M a.img b.img c.img
export TENON_DEVICES=$work/c.img:$work/a.img:$work/b.img
expect 0 ^ "$TENON" raid create in1 --level 1 a.img b.img
expect 0 ^ "$TENON" raid create out --level 1 --assume-clean c.img md/in1
two
expect 0 '0 bytes differ' "$TENON" raid check out
serve
two
end
mv a.img away
two
expect 1 'insist with --degraded' "$TENON" raid check out
expect 0 '0 bytes differ' "$TENON" raid check out --degraded
mv away a.img
two

# ---- And what is used or served is not taken as a member, by force neither ----
rm -f ./*.img
truncate -s 20M a.img b.img c.img d.img e.img f.img g.img
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img:$work/d.img:$work/e.img:$work/f.img:$work/g.img
expect 0 ^ "$TENON" raid create in1 --level 0 a.img b.img
expect 0 ^ "$TENON" raid create in2 --level 0 e.img f.img
expect 0 ^ "$TENON" raid create out --level 1 c.img missing
expect 0 ^ "$TENON" vg create vg d.img
expect 0 ^ "$TENON" lv create vg/l --size 4M
export TENON_WORKERS=1 # all of it is one worker's
serve md/in1 md/out vg
for dry in --dry-run ''; do
	expect 1 'md/in1: this server serves it' "$TENON" raid add out md/in1 $dry
	expect 1 'd.img: is a physical volume of vg' "$TENON" raid add out "$work/d.img" --force $dry
	expect 1 'a.img: is a member of md/in1' "$TENON" raid add out "$work/a.img" --force $dry
done
end
unset TENON_WORKERS
expect 0 ^ "$TENON" vg check vg

# ---- By any name, with a dry run, and with a change of its shape ----
uuid=$("$TENON" raid show in1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
expect 0 'md/in1: would fill place 1 of md/out' "$TENON" raid add out md/in1 --dry-run
expect 1 'no such array' "$TENON" raid add out md/none --dry-run
expect 0 'md/[0-9a-f:-]*: added' "$TENON" raid add out "md/$uuid"
expect 0 ^ "$TENON" raid rebuild out
two
serve md/out
expect 0 ^ "$TENON" raid fail out md/in1
expect 0 ^ "$TENON" raid remove out md/in1
expect 0 ^ "$TENON" raid add out "$work/g.img"
expect 0 ^ "$TENON" raid rebuild out
expect 0 'md/in1: would be added to md/out' "$TENON" raid replace out "$work/c.img" --with md/in1 --dry-run
"$TENON" raid replace out "$work/c.img" --with md/in1 >said 2>&1 || problem "$(cat said)"
grep -q 'not among' said && problem "an array is no device: $(cat said)"
"$TENON" status --json | grep -q '"md/in1"' && problem "an array is among the server's devices"
expect 0 ^ "$TENON" raid rebuild out
end
"$TENON" raid grow out --devices 3 --add md/in2 >said 2>&1 || problem "$(cat said)"
expect 0 ^ "$TENON" raid rebuild out
expect 0 '"working": 3' "$TENON" raid show out --json

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
