#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# --dry-run of what changes groups, volumes and arrays: says what would be done or refuses it, and every byte stays as it is.
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES=$work/a:$work/b:$work/c:$work/d:$work/e TENON_STATE_DIR=$work/state
truncate -s 16M a b c d e
"$TENON" raid create r --level 1 a b --bitmap none && "$TENON" vg create vg c d && "$TENON" lv create vg/v --size 4M c || exit 1
mkdir copies && cp c d copies
sums() { cat a b c d e copies/? | sha256sum; }
# dry STATUS PATTERN ARGUMENT...
dry() {
	local before status=$1 pattern=$2
	shift 2
	before=$(sums)
	expect "$status" "$pattern" "$TENON" "$@" --dry-run
	[ "$(sums)" = "$before" ] || problem "'$*' changed a device"
}
groups() {
	dry 0 'its tags would be: one, two' vg tag vg --add one --add two
	dry 0 'would not start it by itself' vg change vg --autoactivate no
	dry 0 'could have 7 volumes at most' vg change vg --max-lvs 7
	dry 1 'more than the limit 1' vg change vg --max-pvs 1
	dry 0 'would have to stay the same' vg change vg --resizeable no
	dry 0 'metadata would be written anew' vg repair vg
	dry 0 '/d: would be a physical volume of no group' vg reduce vg d
	dry 1 'are used' vg reduce vg c
	dry 0 'its tags would be: one' pv tag c --add one
	dry 0 'no volume would get extents' pv change c --allocatable no
	dry 0 'would have 8 MiB for volumes, has 12 MiB' pv resize c --size 12M
	dry 0 'vg/v: would be renamed to vg/w' lv rename vg/v w
	dry 0 'vg/v: would be renamed to vg/w' lv rename vg/v vg/w
	dry 2 'is in another group than vg/v' lv rename vg/v vh/w
	dry 1 'exists already' lv rename vg/v v
	dry 0 'its tags would be: one' lv tag vg/v --add one
	dry 0 'could only be read' lv change vg/v --read-only
	dry 0 'allocation policy would be cling' lv change vg/v --alloc cling
	dry 1 'no such volume' lv tag vg/none --add one
}
groups
dry 0 'would be renamed to other' vg rename vg other
dry 0 'would be exported' vg export vg
dry 1 'not exported already' vg import vg
dry 0 'new: would be a group of its own, on 2 devices' vg clone new copies/c copies/d
archived=$(ls state/archive)
dry 0 'its tags would be: one' vg tag vg --add one
[ "$(ls state/archive)" = "$archived" ] || problem 'a dry run was archived'

dry 0 'would get a bitmap with a bit for each' raid bitmap r add
dry 1 'has no bitmap' raid bitmap r remove
dry 0 'nothing is left to rebuild' raid rebuild r
dry 0 '0 bytes differ' raid repair r
printf x | dd of=b bs=1 seek=12M conv=notrunc status=none
dry 0 'which member is wrong cannot be known' raid repair r
"$TENON" raid fail r b && "$TENON" raid remove r b && "$TENON" raid add r e || problem 'a member of another'
dry 0 '/e: would fill an empty place of md/r' raid rebuild r

# What was made of devices that differ has to be resynced first.
truncate -s 16M unequal other
printf x | dd of=unequal bs=1 seek=12M conv=notrunc status=none
"$TENON" raid create n --level 1 unequal other --bitmap none 2>out || problem "raid create: $(cat out)"
dry 0 'md/n: a resync would make its members equal: 1[0-9] MiB of each' raid rebuild n --device "$work/unequal" --device "$work/other"
dry 0 'the resync that is due would come first' raid repair n --device "$work/unequal" --device "$work/other"

# Volumes that are arrays. A check without --repair changes nothing in any case.
truncate -s 16M p q r s
export TENON_DEVICES=$TENON_DEVICES:$work/p:$work/q:$work/r:$work/s
"$TENON" vg create rg p q r s && "$TENON" lv create rg/r5 --type raid5 --stripes 2 --size 8M p q r || problem 'a volume of RAID5'
sums() { cat a b c d e copies/? p q r s | sha256sum; }
synced() { "$TENON" lv list rg --json | grep -q "\"synced_percent\": $1"'\b' || problem "expected $1 synced: $("$TENON" lv list rg --json)"; }
synced 0.0
dry 0 'rg/r5: a resync would make its members equal' lv repair rg/r5
dry 0 'before that its members differ, and are not compared' lv scrub rg/r5 --repair
dry 2 'it is about --repair' lv scrub rg/r5
"$TENON" lv repair rg/r5 >out 2>&1 || problem "lv repair: $(cat out)"
synced 100.0
dry 0 'rg/r5: nothing is left to rebuild' lv repair rg/r5
dry 0 'rg/r5: 0 bytes differ' lv scrub rg/r5 --repair
printf x | dd of=q bs=1 seek=6M conv=notrunc status=none
dry 0 'which member is wrong cannot be known' lv scrub rg/r5 --repair
dry 1 'no array' lv repair vg/v
mv q away && truncate -s 16M q
dry 0 'rg/r5: r5_rimage_1 would be made anew on /.*/s, from extent 1 on' lv repair rg/r5
dry 0 'r5_rimage_1: would get its data as a member' lv repair rg/r5
dry 1 'images are lost, and there are not so many PVs' lv repair rg/r5 p
mv away q

# A server that has them: nobody writes to them, so their bytes stay.
launch server.out "$TENON" serve vg --socket-dir sockets || problem "the server: $(cat server.out)"
groups
dry 1 'a running server has it' vg rename vg other
dry 1 'a running server has it' vg export vg
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
