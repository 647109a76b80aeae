#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A device of a volume group becomes shorter, under a server and without one: nothing makes it longer but its owner,
# what is gone is an error and no zeroes, the group is not changed, and everybody says how long it must be again.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
tenon=${TENON:-$root/${BUILD:-build}/tenon}
io=$root/${BUILD:-build}/tests/helpers/block_io
[ -x "$io" ] || { echo "$io is not built"; exit 77; }
work=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null || :; wait "$server" 2>/dev/null || :; }
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
mkdir run
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/devices TENON_DEVICES=$work/p.img
fail() { echo "failed: $*"; cat said 2>/dev/null || :; exit 1; }
refused() { # TEXT COMMAND...: fails, and says TEXT
	local text=$1
	shift
	if "$@" >said 2>&1; then fail "$* succeeded"; fi
	grep -q -- "$text" said || fail "$* does not say: $text"
}

serve() {
	rm -f served # what the last one said is there until the shell has truncated it
	"$tenon" serve --socket-dir s >served 2>&1 &
	server=$!
	for _ in $(seq 1200); do
		grep -q '^ready' served && break
		sleep 0.05
	done
}

truncate -s 64M p.img
"$tenon" vg create vg p.img
"$tenon" lv create vg/low --size 8M
"$tenon" lv create vg/high --size 40M
serve
"$io" vhost-user:s/vg-low.sock write 0 65536 1 flush
"$io" vhost-user:s/vg-high.sock write 33554432 65536 2 flush

truncate -s 30M p.img
refused . "$io" vhost-user:s/vg-high.sock verify 33554432 65536 2
refused . "$io" vhost-user:s/vg-high.sock write 33554432 65536 3
"$io" vhost-user:s/vg-low.sock verify 0 65536 1 || fail "what is left cannot be read"
refused "must have 67108864 bytes again" "$tenon" lv create vg/more --size 4M
refused "must have 67108864 bytes again" "$tenon" lv resize vg/low --size 12M
[ "$(stat -c %s p.img)" = 31457280 ] || fail "the file was made longer"
kill "$server"
wait "$server" || :
server=

refused "must have 67108864 again" "$tenon" lv rename vg/low lower
"$tenon" vg show vg >said || fail "vg show"
grep -q "must have 67108864 bytes again" said || fail "vg show does not say how long it must be"
"$tenon" copy vg/low - >low.raw || fail "what is left cannot be read"
refused "high" "$tenon" copy vg/high high.raw
refused "must have 67108864 again" "$tenon" copy low.raw vg/low
[ "$(stat -c %s p.img)" = 31457280 ] || fail "the file was made longer"

truncate -s 64M p.img
"$tenon" lv resize vg/low --size 12M
"$tenon" copy low.raw vg/low

# What has all data without what is gone is served and written to, and gets it back; what is left of others can be read.
said() { # OBJECT TEXT: its problem has that text
	"$tenon" lv show "$1" --json | grep '"problem"' >said
	grep -q -- "$2" said || fail "problem of $1 is not: $2"
}
truncate -s 64M a.img b.img c.img
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img
"$tenon" vg create vr a.img b.img c.img
"$tenon" lv create vr/low --size 4M a.img
"$tenon" lv create vr/r --type raid5 --stripes 2 --size 64M
"$tenon" lv create vr/high --size 4M a.img
"$tenon" lv repair vr/r
head -c 64M /dev/urandom >data.raw
"$tenon" copy data.raw vr/r
truncate -s 30M a.img
said vr/r "became shorter, and has not all of it; the others have all data"
said vr/high "became shorter, and has not all of it"
said vr/low "opens for reading only"
"$tenon" copy vr/r back.raw
cmp data.raw back.raw
serve
"$io" vhost-user:s/vr-r.sock write 0 65536 5 flush
refused . "$io" vhost-user:s/vr-low.sock write 0 65536 5
kill "$server"
wait "$server" || :
server=
grep -q "vr/high.*became shorter" served || { cp served said; fail "the server does not say why vr/high is left out"; }
[ "$(stat -c %s a.img)" = 31457280 ] || fail "the file was made longer"
truncate -s 64M a.img
"$tenon" lv repair vr/r
"$tenon" lv scrub vr/r
mv b.img away
export TENON_DEVICES=$work/a.img:$work/c.img
"$tenon" copy vr/r back.raw
cmp -s -n 65536 data.raw back.raw && fail "what was written while a.img was short is not there"
cmp -i 65536 data.raw back.raw

# It stays as short as it is: what RAID volumes had there is made anew, what is lost removed, and then it is taken as it is. Nothing else is
# changed before.
quiet() { "$@" >said 2>&1 || fail "$*"; }
mkdir gone
mv [abc].img away gone
truncate -s 64M a.img b.img c.img d.img
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img:$work/d.img
quiet "$tenon" vg create vs a.img b.img c.img d.img --metadata-copies 2
quiet "$tenon" lv create vs/low --size 4M a.img
quiet "$tenon" lv create vs/r --type raid5 --stripes 2 --size 64M a.img b.img c.img
quiet "$tenon" lv create vs/high --size 4M a.img
quiet "$tenon" lv repair vs/r
quiet "$tenon" copy data.raw vs/r
head -c 4M data.raw >low.raw
quiet "$tenon" copy low.raw vs/low
truncate -s 30M a.img
refused "tenon pv resize" "$tenon" lv create vs/more --size 4M
refused "cannot be changed" "$tenon" lv resize vs/low --size 8M
refused "tenon lv repair" "$tenon" pv resize a.img
refused "tenon lv repair" "$tenon" vg reduce vs a.img
refused "no PV is missing" "$tenon" vg reduce vs --remove-missing --force
quiet "$tenon" lv repair vs/r
refused "tenon lv remove" "$tenon" pv resize a.img
quiet "$tenon" lv remove vs/high --yes
refused "cannot be changed" "$tenon" lv create vs/more --size 4M
quiet "$tenon" pv resize a.img
[ "$(stat -c %s a.img)" = 31457280 ] || fail "the file was made longer"
quiet "$tenon" vg check vs
quiet "$tenon" lv create vs/more --size 4M a.img
quiet "$tenon" lv scrub vs/r
"$tenon" copy vs/r - | cmp - data.raw
quiet "$tenon" copy low.raw vs/low
if pvck=$(PATH=$PATH:/sbin:/usr/sbin command -v pvck); then
	"$pvck" --driverloaded n --dump headers a.img >said 2>/dev/null || fail "pvck"
	! grep -q CHECK said || fail "pvck finds something wrong"
	grep -q "vgname vs " said || fail "pvck does not find the group"
fi

# Or it leaves; and what is missing as well does not hide that.
truncate -s 20M a.img
quiet "$tenon" lv remove vs/low --yes
quiet "$tenon" lv remove vs/more --yes
quiet "$tenon" lv remove vs/r --yes
mv d.img gone/d2.img
refused "are missing" "$tenon" vg reduce vs a.img
quiet "$tenon" vg reduce vs --remove-missing --force
refused "must have" "$tenon" lv create vs/more --size 4M
quiet "$tenon" vg reduce vs a.img
quiet "$tenon" lv create vs/more --size 4M

# Under a server the array goes on without that image, and who asks is told, also once the file is long again: its zeroes are not read.
truncate -s 40M x.img y.img
export TENON_DEVICES=$work/x.img:$work/y.img
quiet "$tenon" vg create vf x.img y.img
quiet "$tenon" lv create vf/r --size 24M --type raid1
quiet "$tenon" lv repair vf/r
serve
"$io" vhost-user:s/vf-r.sock write 0 25165824 5 flush
truncate -s 10M x.img
"$io" vhost-user:s/vf-r.sock write 0 1048576 5 flush
truncate -s 40M x.img
for _ in 1 2 3; do "$io" vhost-user:s/vf-r.sock verify 0 25165824 5 || fail "other data"; done
quiet "$tenon" lv show vf/r
grep -q "^State: *degraded" said && grep -q "runs without 1 of its" said || fail "lv show does not say that the array lacks an image"
quiet "$tenon" lv list vf --json
grep -q '"state": "degraded"' said || fail "lv list does not say it"
kill "$server"
wait "$server" || :
server=
quiet "$tenon" lv repair vf/r
quiet "$tenon" lv scrub vf/r
quiet "$tenon" lv show vf/r
grep -q "^State: *writable" said || fail "it is whole again"
mv y.img gone/y.img
"$tenon" copy vf/r - 2>/dev/null >r.raw
"$io" -r r.raw verify 0 25165824 5 || fail "x.img was not filled"
exit 0
