#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Write journals from the command line: what is refused, what a missing or failing one is told like, and what --force does.
set -u
. "$(dirname "$0")/lib.sh"
command -v mdadm >/dev/null || PATH=$PATH:/usr/sbin
cd "$work" || exit 1
truncate -s 16M a b c j k
export TENON_DEVICES="$work/[abcjk]"

expect 2 'expected both' "$TENON" raid create r --level 5 --consistency journal a b c
expect 2 'expected both' "$TENON" raid create r --level 5 --consistency resync --journal j a b c
expect 1 'a journal at raid1, expected level 4, 5 or 6' "$TENON" raid create r --level 1 --consistency journal --journal j a b
expect 1 'given twice|named twice' "$TENON" raid create r --level 5 --consistency journal --journal a a b c
expect 0 '^' "$TENON" raid create r --level 5 --chunk 64K --consistency journal --journal j a b c
json "d['consistency'] == 'journal' and [m['state'] for m in d['members']].count('journal') == 1" "$TENON" raid show r --json
expect 0 'Device Role: +journal|Role.*journal' "$TENON" raid examine j
! command -v mdadm >/dev/null || expect 0 'Device Role : Journal' mdadm --examine j
head -c 3000000 /dev/urandom >data
expect 0 '^' "$TENON" copy data md/r --force
expect 1 'a log, which does' "$TENON" raid bitmap r add
expect 1 'has a journal' "$TENON" raid grow r --size max

# Without it: reading only, unless forced.
mv j away
expect 1 'device of its journal is missing.*' "$TENON" raid fail r a
"$TENON" copy md/r back --force 2>err && cmp -n 3000000 data back || problem "it cannot be read without its journal: $(cat err)"
mv away j
expect 0 '^' "$TENON" raid fail r "$work/j"
json "'without its journal' in d['state']" "$TENON" raid show r --json
expect 1 'journal' "$TENON" copy data md/r --force
expect 0 '^' "$TENON" raid assemble r --force
json "d['consistency'] == 'resync'" "$TENON" raid show r --json
expect 0 '^' "$TENON" raid rebuild r
"$TENON" copy md/r back --force 2>err && cmp -n 3000000 data back || problem "data are lost: $(cat err)"
expect 0 'differ|no|same|0 ' "$TENON" raid check r

# Another one: to what has none, in the place of one that is lost, and in a server.
expect 0 'would become the write journal' "$TENON" raid add r k --journal --dry-run
expect 0 '' "$TENON" raid add r k --journal
json "d['consistency'] == 'journal' and [m['device'][-1] for m in d['members'] if m['state'] == 'journal'] == ['k']" "$TENON" raid show r --json
expect 1 'has a journal already' "$TENON" raid add r j --journal --force
expect 0 'nothing could be written' "$TENON" raid fail r k --dry-run
"$TENON" copy md/r back --force 2>err && cmp -n 3000000 data back || problem "data are lost: $(cat err)"
mv k away
expect 1 'raid add r DEVICE --journal' "$TENON" copy data md/r --force
expect 1 'may hold what its members do not' "$TENON" raid add r away --journal
expect 2 'by itself' "$TENON" raid grow r --add-journal j --size max
expect 0 '^' "$TENON" raid grow r --add-journal j --force
expect 0 '^' "$TENON" raid rebuild r
json "[m['device'][-1] for m in d['members'] if m['state'] == 'journal'] == ['j']" "$TENON" raid show r --json
expect 0 'differ|no|same|0 ' "$TENON" raid check r
mv away k
"$TENON" serve --socket-dir sockets md/r >serve.log 2>&1 &
server=$!
for _ in $(seq 1200); do ! grep -qs ready serve.log || break; sleep 0.05; done
grep -q ready serve.log || problem "no server: $(cat serve.log)"
expect 0 '^' "$TENON" raid fail r "$work/j"
expect 0 '^' "$TENON" raid remove r "$work/j"
expect 0 'would become the write journal' "$TENON" raid add r k --journal --dry-run --force
expect 0 '^' "$TENON" raid add r k --journal --force
json "d['consistency'] == 'journal' and 'without' not in d['state']" "$TENON" raid show r --json
# And none, once it is gone.
expect 1 'fail r' "$TENON" raid grow r --consistency resync
expect 0 '^' "$TENON" raid fail r "$work/k"
expect 0 '^' "$TENON" raid remove r "$work/k"
expect 0 '' "$TENON" raid grow r --consistency resync
json "d['consistency'] == 'resync'" "$TENON" raid show r --json
expect 1 'neither a bitmap nor a log' "$TENON" raid grow r --consistency resync
expect 0 '' "$TENON" raid grow r --consistency bitmap
json "d['consistency'] == 'bitmap'" "$TENON" raid show r --json
expect 1 'resync. first|has a bitmap' "$TENON" raid grow r --consistency ppl
expect 2 'expected resync, bitmap, ppl' "$TENON" raid grow r --consistency none
expect 0 'would go by resync' "$TENON" raid grow r --consistency resync --dry-run
expect 0 '' "$TENON" raid grow r --consistency resync
expect 0 '^' "$TENON" raid add r k --journal --force
kill $server
wait $server || problem "the server ended with $?: $(cat serve.log)"
"$TENON" copy md/r back --force 2>err && cmp -n 3000000 data back || problem "data are lost: $(cat err)"
! command -v mdadm >/dev/null || expect 0 'Device Role : Journal' mdadm --examine k
exit $((failures > 0))
