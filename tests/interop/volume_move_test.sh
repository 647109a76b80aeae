#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Extents of volumes go to other devices: by a command, which is killed in the middle, goes on, and is undone; by a server, while
# its volumes are served, which is killed, and goes on when it starts. What half a move is like, lvm2 is asked.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
tenon=${TENON:-$root/${BUILD:-build}/tenon}
work=$(mktemp -d)
server= mover=
trap 'for pid in $server $mover; do kill -9 $pid 2>/dev/null; done; lvm2_end; rm -rf "$work"' EXIT
cd "$work"
mkdir run
export LC_ALL=C TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state LVM_SUPPRESS_FD_WARNINGS=1
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img
fail() { echo "failed: $*"; [ ! -s said ] || cat said; [ ! -s log ] || cat log; exit 1; }
t() { "$tenon" "$@" >said 2>&1 || fail "tenon $*"; }
refused() { # PATTERN TENON-WORDS...: fails, says that, and changes nothing
	local pattern=$1 before; shift
	before=$(cat ./*.img | sha256sum)
	! "$tenon" "$@" >said 2>&1 || fail "tenon $* was not refused"
	grep -q -- "$pattern" said || fail "tenon $*: not '$pattern'"
	[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "tenon $* changed something"
}
await() { # COMMAND...: until it is so
	for _ in $(seq 600); do ! "$@" 2>/dev/null || return 0; sleep 0.1; done
	fail "not in time: $*"
}
devices() { "$tenon" lv show "$1" --json | python3 -c 'import json, sys; print(*sorted({a.split("/")[-1].split("(")[0] for s in json.load(sys.stdin)["segments"] for a in s["areas"]}))'; }
lies_on() { local of=$1; shift; [ "$(devices "$of")" = "$*" ] || fail "$of lies on $(devices "$of"), not on $*"; }
same() { "$tenon" copy "$1" - 2>log | cmp - "$2" || fail "$1 is not what it was"; }
half_done() { "$tenon" lv list --all --json | python3 -c 'import json, sys; l = [v for v in json.load(sys.stdin) if v["name"] == "pvmove0"]; sys.exit(not l or not 0 <= l[0]["moved_percent"] < 100)'; }

. "$root/tests/interop/lvm2_judge.sh"
truncate -s 49M a.img b.img c.img
t vg create vg0 a.img b.img c.img --extent-size 1M
t lv create vg0/l --size 16M a.img
t lv create vg0/s --size 8M --stripes 2 a.img b.img
head -c 16M /dev/urandom >l.data
head -c 8M /dev/urandom >s.data
t copy l.data vg0/l
t copy s.data vg0/s

refused 'is no physical volume' pv move none.img
refused 'nothing on .*c.img is to move' pv move c.img
refused 'no move is half done' pv move a.img --abort
refused 'no move is half done' pv move a.img --continue
refused 'no such volume' pv move a.img --volume vg0/none
refused 'expected VG/LV' lv move vg0 b.img
refused 'expected devices' lv move vg0/l
refused 'extents on .* are to move, .* are free' lv move vg0/s b.img

refused 'is no volume of volume group vg0' pv move a.img --volume vg1/l
refused 'expected one of them' pv move a.img --abort --continue

# Only said: the numbers are those that are moved then
plan() { # PATTERN TENON-WORDS...: says it, and changes nothing
	local pattern=$1 before; shift
	before=$(cat ./*.img | sha256sum)
	t "$@" --dry-run
	grep -q -- "$pattern" said || fail "tenon $* --dry-run: not '$pattern'"
	[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "tenon $* --dry-run changed something"
}
plan 'vg0: 20 extents are to move, 20 MiB' pv move a.img
plan '  .*a.img: extents 0 to 15, to extent 0 of .*c.img on' lv move vg0/l c.img
plan '  .*b.img: extents 0 to 3, to extent 0 of .*c.img on' pv move b.img --volume s

# A whole device, by the command alone
t pv move a.img c.img
grep -q 'vg0: 20 MiB are moved' said || fail "what was moved"
lies_on vg0/l c.img
lies_on vg0/s b.img c.img
same vg0/l l.data
same vg0/s s.data
theirs "l linear -wi------- s striped -wi-------" lvs --noheadings -a -o lv_name,segtype,lv_attr vg0
t vg reduce vg0 a.img
t vg extend vg0 a.img

# One volume; killed in the middle, and what is half done then; it is undone
"$tenon" lv move vg0/l a.img --rate 1M >said 2>&1 & mover=$!
await half_done
kill -9 $mover; wait $mover 2>/dev/null || true
mover=
same vg0/l l.data
theirs "l linear -wI------- [pvmove0] mirror p-C---m--- s striped -wi-------" lvs --noheadings -a -o lv_name,segtype,lv_attr vg0
refused 'on its way to other PVs' lv resize vg0/l --size 50M
refused 'a move is half done' pv move b.img
refused 'extents of PV .* are used' vg reduce vg0 a.img
"$tenon" lv list vg0 >said; grep -q ' 0%\| 0.0%' said || fail "how far it is"
t lv create vg0/beside --size 1M
plan 'vg0: 16 MiB would be moved, 0 B is already' pv move c.img --continue
plan '0 B would stay where it was moved to, 16 MiB where it was' lv move vg0/l --abort
t lv move vg0/l --abort
lies_on vg0/l c.img
same vg0/l l.data
# another time it goes on
"$tenon" lv move vg0/l a.img --rate 1M >said 2>&1 & mover=$!
await half_done
kill -TERM $mover; wait $mover || true
mover=
grep -q 'half done: `tenon lv move vg0/l --continue` goes on' said || fail "what to do"
half_done || fail "it is not half done"
t lv move vg0/l --continue
lies_on vg0/l a.img
same vg0/l l.data
t lv remove vg0/beside --yes

# While it is served
serve() {
	: >log
	"$tenon" serve vg0 --socket-dir sockets >log 2>&1 & server=$!
	await grep -q ready log
}
mkdir sockets
serve
t pv move a.img c.img --rate 1M --no-wait
"$tenon" status >said; grep -q '^MOVE' said || fail "a status without the move"
"$tenon" lv list vg0 >/dev/null
t lv create vg0/beside --size 1M
refused 'a move is half done' pv move b.img
# who waits for it learns that the server has gone; SIGTERM is blocked while one waits
"$tenon" pv move a.img --continue >waits 2>&1 & mover=$!
blocks() { grep -q '^SigBlk:.*[4-7c-f]...$' /proc/$mover/status; }
waits() { blocks && sleep 0.3 && blocks; }
await waits
kill -9 $server; wait $server 2>/dev/null || true
server=
! wait $mover || fail "who waited for a server that was killed"
mover=
grep -q 'half done: `tenon pv move .* --continue` goes on' waits || { cat waits; fail "what to do"; }
half_done || fail "what a killed server leaves"
same vg0/l l.data
# the next one goes on by itself, as fast as was wished, which lvm2 keeps
theirs "[pvmove0] tenon:move_rate:1048576" lvs --noheadings -a -o lv_name,lv_tags -S lv_name=~pvmove vg0
serve
not_half_done() { ! "$tenon" lv list --all --json | grep -q pvmove0; }
await not_half_done
lies_on vg0/l c.img
# who asked for it is said of all its commits; of what the server goes on with by itself, the server
by() { "$tenon" vg show vg0 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["description"])'; }
[ "$(by)" = "Write from tenon serve." ] || fail "who went on with it: $(by)"
t pv move c.img a.img --volume vg0/l
[ "$(by)" = "Write from tenon pv move." ] || fail "who moved it: $(by)"
lies_on vg0/l a.img
t lv move vg0/l c.img --from a.img --rate 1M --no-wait
t lv move vg0/l --abort
[ "$(by)" = "Write from tenon lv move." ] || fail "who undid it: $(by)"
lies_on vg0/l a.img
# it ends in order in the middle of one
t lv move vg0/l c.img --rate 1M --no-wait
kill $server; wait $server || fail "the server's end"
server=
half_done || fail "what a server that ended leaves"
t lv move vg0/l --continue
same vg0/l l.data
same vg0/s s.data
theirs "beside linear l linear s striped" lvs --noheadings -a -o lv_name,segtype vg0
echo "done"
