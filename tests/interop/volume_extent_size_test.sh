#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The size of a group's extents is changed, by us and by lvm2 in turn; both say the same of what the other made, and no byte of a volume moves.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
tenon=${TENON:-$root/${BUILD:-build}/tenon}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server; lvm2_end; rm -rf "$work"' EXIT
cd "$work"
mkdir run
export LC_ALL=C TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state LVM_SUPPRESS_FD_WARNINGS=1
export TENON_DEVICES=$work/a.img:$work/b.img
fail() { echo "failed: $*"; [ ! -s said ] || cat said; exit 1; }
t() { "$tenon" "$@" >said 2>&1 || fail "tenon $*"; }
refused() { # PATTERN TENON-WORDS...: fails, says that, and changes nothing
	local pattern=$1 before; shift
	before=$(cat ./*.img | sha256sum)
	! "$tenon" "$@" >said 2>&1 || fail "tenon $* was not refused"
	grep -q -- "$pattern" said || fail "tenon $*: not '$pattern'"
	[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "tenon $* changed something"
}
. "$root/tests/interop/lvm2_judge.sh"
same() {
	local name
	for name in one two; do "$tenon" copy vg0/$name - 2>said | cmp - $name || fail "vg0/$name is not what it was"; done
	t vg check vg0
}
# is SIZE EXTENTS FREE: so says lvm2, and so do we; volumes have the sizes that they had
is() {
	theirs "$1 $2 $3" vgs --noheadings --nosuffix --units k -o vg_extent_size,vg_extent_count,vg_free_count vg0
	theirs "one 8.00 two 4.00" lvs --noheadings --nosuffix --units m -o lv_name,lv_size vg0
	"$tenon" vg show vg0 --json | python3 -c 'import json, sys
vg, size, extents, free = json.load(sys.stdin), *sys.argv[1:]
said = vg["extent_size_bytes"], vg["extents"], vg["free_extents"]
sys.exit(said != (float(size) * 1024, int(extents), int(free)) and f"we say {said}")' "$1" "$2" "$3" >said 2>&1 || fail "$1 $2 $3"
	same
}

truncate -s 64M a.img
truncate -s 33M b.img
t vg create vg0 a.img b.img --extent-size 1M
t lv create vg0/hole --size 2M a.img
t lv create vg0/one --size 3M a.img
t lv create vg0/two --size 4M --stripes 2 --stripe-size 256K
t lv extend vg0/one --size 8M --alloc anywhere
t lv remove vg0/hole --yes
head -c 8M /dev/urandom >one
head -c 4M /dev/urandom >two
t copy one vg0/one
t copy two vg0/two
is 1024.00 95 83

# What lvm2 refuses
for size in 2M 3M 4M; do
	refused 'no whole number of extents' vg change vg0 --extent-size $size
	[ -n "$judge" ] || ! lvm2 vgchange -s $size vg0 || fail "lvm2 takes $size"
done
refused 'a power of two from 512 or a multiple of 128 KiB' vg change vg0 --extent-size 100K
[ -n "$judge" ] || ! lvm2 vgchange -s 100k vg0 || fail "lvm2 takes 100k"
refused 'stripes of 262144 bytes' vg change vg0 --extent-size 128K

before=$(cat ./*.img | sha256sum)
t vg change vg0 --extent-size 512K --dry-run
grep -q 'its extents would have 512 KiB' said || fail "a dry run does not say"
[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "a dry run"
t vg change vg0 --extent-size 512K
is 512.00 190 166
t vg change vg0 --extent-size 256K --max-lvs 9
is 256.00 380 332
[ -n "$judge" ] || { lvm2 vgchange -s 512k vg0 || { cat theirs.err; fail "lvm2, from ours"; }; is 512.00 190 166; }
t vg change vg0 --extent-size 1M
is 1024.00 95 83
t vg change vg0 --extent-size 1M # as it is

t vg change vg0 --resizeable no
refused 'is not resizeable' vg change vg0 --extent-size 512K
[ -n "$judge" ] || ! lvm2 vgchange -s 512k vg0 || fail "lvm2, of a fixed size"
t vg change vg0 --resizeable yes

# While it is served: volumes that somebody can write to are open
"$tenon" serve vg0/one --socket-dir "$work/run" >log 2>&1 & server=$!
for _ in $(seq 600); do ! grep -q ready log || break; sleep 0.1; done
refused 'vg0/one: is in use' vg change vg0 --extent-size 512K
kill $server; wait $server || true; server=

# Types whose keys count in extents of their own
if [ -z "$judge" ] && lvm2 lvcreate -an -y -Zn -Wn --type mirror --mirrorlog core --nosync -m 1 -L 2M -n mirror vg0; then
	refused 'vg0/mirror.*: is of type mirror' vg change vg0 --extent-size 512K
	lvm2 lvremove -y vg0/mirror || { cat theirs.err; fail lvremove; }
fi
t vg change vg0 --extent-size 512K
t lv extend vg0/one --size 8704K # goes on in extents of that size
theirs "8.50" lvs --noheadings --nosuffix --units m -o lv_size vg0/one
t lv reduce vg0/one --size 8M --yes
is 512.00 190 166

# RAID: images and their metadata volumes have other numbers of extents, and the room in images for reshapes, too
TENON_DEVICES=$work/c.img:$work/d.img:$work/e.img:$work/f.img
rm a.img b.img
truncate -s 33M c.img d.img e.img f.img
t vg create vg1 c.img d.img e.img f.img --extent-size 1M
t lv create vg1/five --type raid5 --stripes 2 --stripe-size 64K --size 6M
t lv repair vg1/five
t lv create vg1/ten --type raid10 --stripes 2 --stripe-size 64K --size 6M --nosync
t lv create vg1/pair --type raid1 --size 3M --nosync
t lv create vg1/nought --type raid0 --stripes 3 --stripe-size 64K --size 3M
names="five ten pair nought"
declare -A sizes=([five]=6 [ten]=6 [pair]=3 [nought]=3)
for name in $names; do head -c "${sizes[$name]}M" /dev/urandom >$name; t copy $name vg1/$name; done
t lv convert vg1/five --stripe-size 32K
raids() { # EXTENT IN KiB
	local name
	theirs "five 6.00 nought 3.00 pair 3.00 ten 6.00" lvs --noheadings --nosuffix --units m -o lv_name,lv_size vg1
	theirs "$1.00" vgs --noheadings --nosuffix --units k -o vg_extent_size vg1
	for name in $names; do "$tenon" copy vg1/$name - 2>said | cmp - $name || fail "vg1/$name is not what it was"; done
	t vg check vg1
}
raids 1024
parts() { "$tenon" lv list vg1 --all --json | python3 -c 'import json, sys
print(*sorted((v["name"], v["size_bytes"]) for v in json.load(sys.stdin)))'; }
was=$(parts)
refused 'no whole number of extents' vg change vg1 --extent-size 2M
refused 'stripes of 65536 bytes' vg change vg1 --extent-size 32K
t vg change vg1 --extent-size 256K
raids 256
[ "$(parts)" = "$was" ] || fail "parts: $(parts), were $was"
t vg change vg1 --extent-size 1M
raids 1024
[ "$(parts)" = "$was" ] || fail "parts: $(parts), were $was"
# In extents of that size the room is given back, and images grow
t vg change vg1 --extent-size 512K
t lv convert vg1/five --stripe-size 32K
t lv extend vg1/pair --size 4M
theirs "4.00" lvs --noheadings --nosuffix --units m -o lv_size vg1/pair
t lv reduce vg1/pair --size 3M --yes
raids 512
# lvm2 in turn, now that there is no room: that its vgchange of 2.03.16 leaves as it was, so that the volume loses a part of its size
if [ -z "$judge" ]; then
	for size in 256 1024 128; do
		lvm2 vgchange -s ${size}k vg1 || { cat theirs.err; fail "lvm2, with RAID, $size"; }
		raids $size
	done
	t vg change vg1 --extent-size 1M
	raids 1024
fi
echo "extent sizes: 512 KiB, 256 KiB, 1 MiB, by both"
