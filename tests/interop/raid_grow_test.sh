#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays that grow, and members that are replaced: by a command, by a server, and by a server that is killed in the middle.
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

await() {
	local end=$((SECONDS + 100))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { problem "waited in vain for: $*"; return 1; }
		sleep 0.1
	done
}

is() { "$TENON" raid show r --json | python3 -c "import json, sys; d = json.load(sys.stdin); m = {x['device'].split('/')[-1][0]: x['state'] for x in d['members']}; sys.exit(not ($1))"; }
digest() { "$TENON" copy md/r - 2>>log | head -c "$1" | md5sum; }

# ---- A command replaces ----
truncate -s 64M a.img b.img c.img d.img
expect 0 '' "$TENON" raid create r --level 5 --chunk 64K --size 8M a.img b.img c.img
head -c 16M /dev/urandom >data
expect 0 '' "$TENON" copy data md/r
before=$(md5sum <data)
expect 1 'has no spare' "$TENON" raid replace r b.img
expect 0 'is being replaced' "$TENON" raid replace r b.img --with d.img
is "m['b'] == 'in sync' and m['d'] == 'replacing' and not d['degraded']" || problem 'it is not being replaced'
expect 1 'is being replaced' "$TENON" raid grow r --size max
expect 0 '' "$TENON" raid rebuild r
is "m['b'] == 'faulty' and m['d'] == 'in sync' and not d['degraded']" || problem 'it was not replaced'
expect 0 '' "$TENON" raid remove r b.img
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed'

# ---- It grows ----
expect 2 'is needed' "$TENON" raid grow r
truncate -s 64M e.img
expect 1 'would be lost' "$TENON" raid grow r --devices 2
expect 1 'expected a power of two' "$TENON" raid grow r --chunk 96K --add e.img
expect 1 'no md superblock' "$TENON" raid zero e.img
expect 1 'would be less' "$TENON" raid grow r --size 4M
expect 1 'would be less' "$TENON" raid grow r --size 4M --dry-run
expect 1 'has 0 spares, expected 1' "$TENON" raid grow r --devices 4 --dry-run
expect 0 'would be changed so, with 1 device more' "$TENON" raid grow r --devices 4 --add e.img --dry-run
is "'e' not in m and d['progress']['operation'] == 'idle'" || problem 'a rehearsal changed it'
truncate -s 80M a.img c.img d.img
expect 0 '' "$TENON" raid grow r --size max
is "d['size_bytes'] > 120 << 20" || problem 'it did not grow'
expect 0 '' "$TENON" raid rebuild r
expect 0 '' "$TENON" raid check r
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed as it grew'

# ---- It gets another shape ----
truncate -s 80M e.img
expect 1 'has 0 spares, expected 1' "$TENON" raid grow r --devices 4
echo mine >none
expect 0 'needs no backup' "$TENON" raid grow r --devices 4 --add e.img --backup-file none
[ "$(cat none)" = mine ] || problem 'a backup file was made for a reshape that needs none'
rm none
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed as a reshape began'
expect 1 'is being reshaped' "$TENON" raid grow r --chunk 32K
expect 0 'reshape' "$TENON" raid rebuild r
is "d['size_bytes'] > 190 << 20 and len([x for x in m.values() if x == 'in sync']) == 4" || problem 'it has no new shape'
serve md/r
expect 0 '' "$TENON" raid speed r --min 64K --max 256K
expect 0 '' "$TENON" raid grow r --chunk 32K --layout right-symmetric
await is "d['progress']['operation'] == 'reshape' and d['progress']['position_bytes'] > 0"
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
[ "$(digest 16777216)" = "$before" ] || problem 'a kill in a reshape changed the data'
expect 0 'reshape' "$TENON" raid rebuild r
is "d['chunk_bytes'] == 32768 and d['layout'] == 'right-symmetric'" || problem 'it has no new chunk'
expect 0 '' "$TENON" raid check r
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed in a reshape'

# ---- A served array gets another level, which a kill does not undo ----
truncate -s 80M f.img
serve md/r
expect 0 '' "$TENON" raid speed r --min 64K --max 256K
expect 1 'no spare' "$TENON" raid grow r --level 6
expect 0 '' "$TENON" raid grow r --level 6 --add f.img
is "d['level'] == 'raid6' and d['layout'] == 'right-symmetric-6'" || problem 'a served array has its old level'
await is "m['f'] == 'rebuilding' and d['progress']['position_bytes'] > 0"
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
[ "$(digest 16777216)" = "$before" ] || problem 'a kill in a recovery changed the data'
expect 0 '' "$TENON" raid rebuild r
is "d['level'] == 'raid6' and not d['degraded'] and m['f'] == 'in sync'" || problem 'the second parity did not come'
serve md/r
expect 0 '' "$TENON" raid check r
expect 0 '' "$TENON" raid grow r --level 5
is "d['level'] == 'raid5' and m['f'] == 'spare'" || problem 'a served array keeps level 6'
expect 1 'is served' "$TENON" raid grow r --devices 3 --array-size 64M
kill "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed with the level'

# ---- Fewer members, and a kill on the way down ----
expect 0 'moves data' "$TENON" raid grow r --devices 3 --array-size 64M
is "d['size_bytes'] < 160 << 20" || problem 'it was not cut'
serve md/r
expect 0 '' "$TENON" raid speed r --min 64K --max 4M
await is "d['progress']['operation'] == 'reshape' and d['progress']['position_bytes'] > 0"
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
[ "$(digest 16777216)" = "$before" ] || problem 'a kill on the way down changed the data'
expect 0 'reshape' "$TENON" raid rebuild r
is "len([x for x in m.values() if x == 'in sync']) == 3" || problem 'it has not three members'
expect 0 '' "$TENON" raid check r
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed with fewer members'
expect 0 '' "$TENON" raid zero a.img c.img d.img b.img e.img f.img

# ---- In place, with a backup file, under a server that is killed ----
truncate -s 0 a.img b.img c.img d.img
truncate -s 12M a.img b.img c.img d.img
expect 0 '' "$TENON" raid create r --level 5 --chunk 64K --metadata 1.0 --bitmap none --assume-clean a.img b.img c.img
expect 0 '' "$TENON" copy data md/r
: >there
expect 1 'backup-file FILE' "$TENON" raid grow r --chunk 32K
for rehearsed in '' --dry-run; do
	expect 1 'there exists' "$TENON" raid grow r --chunk 32K --add d.img --backup-file there $rehearsed
done
is "'d' not in m" || problem 'what was refused added a member'
serve md/r
expect 0 '' "$TENON" raid speed r --min 64K --max 256K
expect 1 'there exists' "$TENON" raid grow r --chunk 32K --add d.img --backup-file there
is "'d' not in m" || problem 'what a server refused added a member'
expect 0 '' "$TENON" raid grow r --chunk 32K --backup-file kept
await is "d['progress']['operation'] == 'reshape' and d['progress']['position_bytes'] > 0"
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
expect 1 'takes the backup file' "$TENON" raid rebuild r
expect 1 'Problem:.*takes the backup file' "$TENON" raid show r
for i in a b c; do expect 1 "/$i.img" "$TENON" raid show r; done
expect 1 'gone: opening it: No such file' "$TENON" raid assemble r --backup-file gone --invalid-backup --dry-run
expect 1 'has 0 bytes' "$TENON" raid rebuild r --backup-file there
# One that has nothing is of the place where it came to have nothing; what is of no use is written over by the user's word only, and not in a rehearsal.
cp kept saved
dd if=/dev/zero of=kept bs=1 seek=48 count=16 conv=notrunc status=none
dd if=/dev/zero of=kept bs=1 seek=80 count=16 conv=notrunc status=none
cp kept emptied
expect 1 'has nothing, as of sector' "$TENON" raid rebuild r --backup-file kept
expect 0 'be written over' "$TENON" raid assemble r --backup-file kept --invalid-backup --dry-run
cmp -s kept emptied || problem 'a rehearsal wrote to a backup'
cp saved kept
expect 0 'would be started' "$TENON" raid assemble r --backup-file kept --invalid-backup --dry-run
"$TENON" raid assemble r --backup-file kept --invalid-backup --dry-run | grep -q 'written over' && problem 'a good backup would be written over'
cmp -s kept saved || problem 'a rehearsal wrote to a good backup'
for i in a b c; do cp --sparse=always $i.img $i.cut; done
serve md/r --backup-file kept
expect 0 '' "$TENON" raid speed r --min 64K --max 256K
kill "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
# It may have been through.
for i in a b c; do mv $i.cut $i.img; done
truncate -s "$(stat -c %s kept)" fresh
expect 1 'no header of a backup' "$TENON" raid assemble r --backup-file fresh
expect 2 'no --backup-file' "$TENON" raid assemble r --invalid-backup
head -c 1M /dev/urandom >image
cp image image.before
expect 1 'no header of a backup' "$TENON" raid assemble r --backup-file image --invalid-backup
cmp -s image image.before || problem 'an image was taken for an invalid backup'
expect 0 '' "$TENON" raid assemble r --backup-file fresh --invalid-backup
head -c 15 fresh | grep -q md_backup_data || problem 'no backup was begun in the file'
expect 0 'reshape' "$TENON" raid rebuild r --backup-file fresh
is "d['chunk_bytes'] == 32768" || problem 'it has no new chunk in place'
# What the backup had that is of no use, the kill may have cut off in the middle; nothing else.
"$TENON" copy md/r - 2>>log | head -c 16777216 >moved
python3 - <<'PYTHON' || problem "the data changed in place: $(tail -n 3 log)"
import struct
backup = open("saved", "rb").read(512)
kept = [range(start * 512, (start + length) * 512) for start, length in (struct.unpack_from("<QQ", backup, at) for at in (48, 80))]
was, now = open("data", "rb").read(16777216), open("moved", "rb").read()
other = [at for at in range(0, len(was), 512) if was[at : at + 512] != now[at : at + 512]]
print(len(now), "bytes;", len(other), "sectors differ, from", other[:1], "on; the backup had", kept)
raise SystemExit(len(was) != len(now) or any(not any(at in part for part in kept) for at in other))
PYTHON
expect 0 '' "$TENON" raid check r
expect 0 '' "$TENON" raid zero a.img b.img c.img

# ---- A mirror under a server gets a copy, which a kill does not end ----
truncate -s 0 a.img b.img c.img d.img e.img f.img
truncate -s 256M a.img b.img c.img d.img
expect 0 '' "$TENON" raid create r --level 1 a.img b.img
expect 0 '' "$TENON" copy data md/r
serve md/r
expect 0 '' "$TENON" raid grow r --devices 3 --add c.img
await is "m['c'] == 'in sync' and not d['degraded']"
expect 0 '' "$TENON" raid speed r --min 32K --max 64K
expect 0 '' "$TENON" raid replace r a.img --with d.img
await is "m['d'] == 'replacing'"
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
pids=()
is "m['a'] == 'in sync' and m['d'] == 'replacing' and not d['degraded']" || problem 'a kill ended it'
expect 0 '' "$TENON" raid rebuild r
is "m['a'] == 'faulty' and m['d'] == 'in sync' and not d['degraded']" || problem 'it did not go on'
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed under a server'

# ---- Level 0 to another shape, and level 6 to 5: the command moves the data itself, and has the level when it ends ----
rm -f [a-f].img
truncate -s 32M a.img b.img c.img d.img
expect 0 '' "$TENON" raid create r --level 0 --chunk 64K a.img b.img c.img
expect 0 '' "$TENON" copy data md/r
expect 0 '' timeout 300 "$TENON" raid grow r --devices 4 --add d.img
is "d['level'] == 'raid0' and len(m) == 4 and d['size_bytes'] > 100 << 20" || problem 'level 0 has not four members'
expect 0 '' timeout 300 "$TENON" raid grow r --chunk 128K
"$TENON" raid grow r --devices 3 2>err && problem 'fewer members, without a word of the size'
size=$(grep -o -- '--array-size [0-9A-Z]*' err)
expect 0 'would be changed so' "$TENON" raid grow r --devices 3 $size --dry-run # as it was said
is "d['level'] == 'raid0' and d['chunk_bytes'] == 128 << 10" || problem 'level 0 has not the chunk'
expect 0 '' "$TENON" raid grow r --level 4
expect 0 'where it was level 0 .* grow md/r --level 0' "$TENON" raid rebuild r
expect 0 '' timeout 300 "$TENON" raid grow md/r --level 0
is "d['level'] == 'raid0'" || problem 'it is not level 0 again'
[ "$(digest 16777216)" = "$before" ] || problem 'the data of level 0 changed'
rm -f [a-d].img
truncate -s 32M a.img b.img c.img d.img
expect 0 '' "$TENON" raid create r --level 6 --chunk 64K [a-d].img
expect 0 '' "$TENON" copy data md/r
expect 0 '' timeout 300 "$TENON" raid grow r --level 5
is "d['level'] == 'raid5' and m['d'] == 'spare'" || problem 'level 6 did not become 5'
[ "$(digest 16777216)" = "$before" ] || problem 'the data changed from level 6 to 5'

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
