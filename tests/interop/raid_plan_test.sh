#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Dry runs of changes of arrays: what they say is what happens afterwards, what would be refused is refused with the same
# words, and not a byte is written; without a server, and asked of one.
set -u
. "$(dirname "$0")/lib.sh"
pty=$PWD/tests/interop/consent_pty.py
cd "$work" || exit 1
export TENON_DEVICES=$work/a:$work/b:$work/c
truncate -s 32M a b c
truncate -s 32M full && printf 'LUKS\272\276\0\1' | dd of=full conv=notrunc status=none

# dry STATUS PATTERN VERB...: of `raid`, with --dry-run.
dry() {
	local status=$1 pattern=$2
	shift 2
	sha256sum a b c full >before
	expect "$status" "$pattern" "$TENON" raid "$@" --dry-run
	sha256sum a b c full | cmp -s - before || problem "raid $* --dry-run: bytes differ"
}

# same VERB...: what is refused is refused in the same words.
same() {
	local planned done
	planned=$("$TENON" raid "$@" --dry-run 2>&1) && problem "raid $* --dry-run: was not refused"
	done=$("$TENON" raid "$@" 2>&1) && problem "raid $*: was not refused"
	# What a claim tells of the members besides.
	done=$(grep -v '^tenon: warning' <<<"$done")
	[ "$planned" = "$done" ] || problem "raid $*: planned '$planned', then '$done'"
}

members() {
	dry 0 "^$work/b: would be marked faulty; 1 of 2 members of md/r would be in sync" fail r b
	dry 0 "^$work/c: would become a spare of md/r, which has no empty place" add r c
	dry 0 "^$work/b: would be replaced by $work/c, and be faulty" replace r b --with c
	dry 1 'holds.*LUKS' add r full
	dry 0 'the .*LUKS.* on it would be lost' add r full --force
	same add r full
	same remove r b
	same fail r full
	same replace r b
	same re-add r c
	dry 0 'md/r: .* of each member would be compared' repair r
	dry 0 'two copies cannot tell who is wrong: nothing would be written' repair r
	dry 0 'the first copy in order would be written' check r --repair --force
	expect 0 '' "$TENON" raid fail r b
	same fail r a
	dry 0 "^$work/c: would fill place 1 of md/r, and get all of its data" add r c
	dry 0 "^$work/b: would be let go of by md/r" remove r b
	expect 0 '' "$TENON" raid remove r b
	dry 0 "^$work/b: would come back to place 1 of md/r, and get what the bitmap" add r b
	dry 0 "^$work/b: would come back to place 1" re-add r b
	expect 0 '' "$TENON" raid re-add r b
	expect 0 '' "$TENON" raid rebuild r
	json 'd["working"] == 2' "$TENON" raid show r --json
}

expect 0 '' "$TENON" raid create r --level 1 --bitmap internal a b
members
"$TENON" serve md/r --socket-dir s >server.out 2>server.err &
pids=($!)
for _ in $(seq 1200); do grep -q ready server.out && break; sleep 0.05; done
members
kill "${pids[0]}" && wait "${pids[0]}" || problem "the server: $(cat server.err)"
pids=()

# ---- Who is believed ----
truncate -s 32M d e f g
export TENON_DEVICES=$work/d:$work/e:$work/f:$work/g
believes() {
	expect 0 "$1" "$TENON" raid repair l --dry-run
	expect 0 '' "$TENON" raid zero d e f g --yes
}
expect 0 '' "$TENON" raid create l --level 6 d e f g
believes 'where P and Q agree on who is wrong'
expect 0 '' "$TENON" raid create l --level 5 d e f g
believes 'one parity cannot tell who is wrong'
expect 0 '' "$TENON" raid create l --level 10 d e f g
believes 'two copies cannot tell'
expect 0 '' "$TENON" raid create l --level 1 d e f g
believes 'what most copies say'
expect 0 '' "$TENON" raid create l --level 0 d e f g
expect 1 'keeps its data once' "$TENON" raid repair l --dry-run
expect 2 'a check changes nothing' "$TENON" raid check l --dry-run
expect 2 'it is about a repair' "$TENON" raid check l --force

# ---- Starting ----
export TENON_DEVICES=$work/a:$work/b:$work/c
dry 0 '^md/r: would be started, 2 of 2 members are in sync' assemble r
mv b away
sha256sum a c >before
expect 1 'place 1 is not' "$TENON" raid assemble r --dry-run
expect 0 'md/r: would be started, 1 of 2 members' "$TENON" raid assemble r --degraded --dry-run
expect 0 'would be written down as missing' "$TENON" raid assemble r --degraded --dry-run
sha256sum a c | cmp -s - before || problem 'assemble --dry-run: bytes differ'
expect 0 '1 of 2 members' "$TENON" raid assemble r --degraded
mv away b
dry 0 "$work/b would be left out" assemble r

# ---- Superblocks taken off ----
dry 0 "^a: would be no member of md/r any more" zero a
dry 1 'c: no md superblock' zero c
sha256sum a >before
out=$(python3 "$pty" n "$TENON" raid zero a) && problem "no was taken for yes: $out"
grep -q 'would be no member of md/r' <<<"$out" || problem "the question: $out"
sha256sum a | cmp -s - before || problem 'zero: no was taken for yes'
python3 "$pty" y "$TENON" raid zero a >out || problem "yes was not enough: $(cat out)"
expect 1 'no md superblock' "$TENON" raid zero a --yes

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
