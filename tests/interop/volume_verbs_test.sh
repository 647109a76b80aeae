#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The daily operations of LVM2 by our commands; what each leaves on the disks is what the real lvs, vgs and pvs say.
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
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img
fail() { echo "failed: $*"; [ ! -s said ] || cat said; exit 1; }
t() { "$tenon" "$@" >said 2>&1 || fail "tenon $*"; }
refused() { # PATTERN TENON-WORDS...: fails, says that, and changes nothing
	local pattern=$1 before; shift
	before=$(cat ./*.img | sha256sum)
	! "$tenon" "$@" >said 2>&1 || fail "tenon $* was not refused"
	grep -q -- "$pattern" said || fail "tenon $*: not '$pattern'"
	[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "tenon $* changed something"
}
field() { # NOUN NAME KEY: of `tenon NOUN show`
	"$tenon" "$1" show "$2" --json | python3 -c "import json, sys; v = json.load(sys.stdin)['$3']; print(','.join(v) if isinstance(v, list) else v)"
}
has() { [ "$(field "$1" "$2" "$3")" = "$4" ] || fail "$1 $2: $3 is $(field "$1" "$2" "$3"), not $4"; }

. "$root/tests/interop/lvm2_judge.sh"
sizes() { theirs "$1" lvs --noheadings --nosuffix --units m -o lv_name,lv_size "${@:2}"; }

truncate -s 65M a.img b.img c.img
t vg create vg0 a.img b.img c.img --extent-size 1M
# 64 extents in each

# --- Sizes that depend on what there is
t lv create vg0/half --size 50%FREE
t lv create vg0/tenth --extents 10%VG
t lv create vg0/onb --size 100%PVS "$work/b.img"
sizes "half 96.00 onb 13.00 tenth 19.00" vg0
t lv remove vg0/onb --yes
t lv extend vg0/tenth --size +100%LV
t lv extend vg0/half --extents +50%FREE
sizes "half 125.00 tenth 38.00" vg0
t lv reduce vg0/half --size -50%LV --yes
sizes "half 62.00 tenth 38.00" vg0
t lv create vg0/rest --size 100%FREE --stripes 2
t lv create vg0/last --size 100%FREE
has vg vg0 free_extents 0
refused '%FREE of 0 extents are none\|are free' lv create vg0/more --size 100%FREE
refused 'expected VG, FREE, PVS or LV' lv create vg0/more --size 10%NOTHING
refused 'has no size yet' lv create vg0/more --size 10%LV
for name in half tenth rest last; do t lv remove vg0/$name --yes; done

# --- Placement and policies
t lv create vg0/placed --size 4M "$work/c.img"
[ "$("$tenon" lv show vg0/placed --json | grep -c 'c.img(0)')" = 1 ] || fail "not on c.img"
refused 'is no physical volume of volume group' lv create vg0/more --size 4M /nowhere
t lv create vg0/next --size 4M "$work/c.img"
refused 'in one piece' lv extend vg0/placed --size +4M --alloc contiguous
t lv extend vg0/placed --size +4M --alloc cling
[ "$("$tenon" lv show vg0/placed --json | grep -c 'c.img(8)')" = 1 ] || fail "does not cling"
refused 'on the same PVs' lv extend vg0/placed --size +60M --alloc cling
t lv create vg0/kept --size 1M --alloc contiguous
t lv create vg0/wide --size 8M --stripes 4 --alloc anywhere
theirs "kept -wc------- next -wi------- placed -wi------- wide -wa-------" lvs --noheadings -o lv_name,lv_attr vg0
t lv change vg0/kept --alloc cling --activation-skip yes --read-only
theirs "-rl------k cling" lvs --noheadings -o lv_attr,lv_allocation_policy vg0/kept
t lv change vg0/kept --alloc inherit --activation-skip no --read-write --autoactivate no
theirs "-wi------- inherit" lvs --noheadings -o lv_attr,lv_allocation_policy vg0/kept
refused 'nothing to change' lv change vg0/kept
refused 'expected yes or no' lv change vg0/kept --autoactivate maybe
refused 'expected one of contiguous' lv create vg0/more --size 1M --alloc close

# --- Tags
t lv tag vg0/kept --add one --add two
t lv tag vg0/kept --add three --delete one
theirs "three,two" lvs --noheadings -o lv_tags vg0/kept
# A PV that is not named, but known, is not missing
t pv check a.img
grep -q 'note .*PV .* is on .*b.img, which was not named' said && ! grep -q missing said || fail "what was not named"
(TENON_DEVICES=; t pv check a.img; grep -q 'warning .*is missing' said || fail "what is not known")
# nor is it on a copy that is one of another group by now
for name in a b c; do cp --sparse=always $name.img $name.other.img; done
TENON_DEVICES=$work/a.other.img:$work/b.other.img:$work/c.other.img t vg rename vg0 other
(TENON_DEVICES=$work/a.img:$work/b.other.img; t pv check a.img; grep -q 'warning .*is missing' said || fail "another group's PV")
rm ?.other.img
# Of a group not all devices of which are named it is told that the others are marked as missing, once
t lv tag vg0/kept --add four --device a.img --device c.img
grep -q "was changed without PV .* (last seen as .*b.img), which is marked as missing: .*vg repair vg0 --restore-missing" said || fail "not told"
t lv tag vg0/kept --delete four --device a.img --device c.img
! grep -q 'marked as missing' said || fail "told twice"
t vg repair vg0 --restore-missing
# A server tells who asked it, once
"$tenon" serve --socket-dir "$work/run" vg0 --device a.img --device c.img >served 2>&1 & server=$!
for _ in $(seq 600); do grep -q ready served && break; sleep 0.1; done
t lv tag vg0/kept --add four
grep -q "was changed without PV .*, which is marked as missing: .*vg repair vg0 --restore-missing" said || fail "a server has not told"
t lv tag vg0/kept --delete four
! grep -q 'marked as missing' said || fail "a server told twice"
kill $server; wait $server || true; server=
t vg repair vg0 --restore-missing
theirs "three,two" lvs --noheadings -o lv_tags vg0/kept
refused 'begins with @' lv tag vg0/kept --add @x
t lv create vg0/tagged --size 1M --tag fast
theirs "fast" lvs --noheadings -o lv_tags vg0/tagged

# --- All of that while it is served
"$tenon" serve --socket-dir "$work/run" vg0 >served 2>&1 & server=$!
for _ in $(seq 600); do grep -q ready served && break; sleep 0.1; done
t lv extend vg0/next --size +10%FREE
t lv tag vg0/next --add served
t lv change vg0/next --read-only
has lv vg0/next tags served
has lv vg0/next state read-only
t lv change vg0/next --read-write
t lv create vg0/percent --size 10%VG "$work/a.img"
kill $server; wait $server || true; server=
theirs "served" lvs --noheadings -o lv_tags vg0/next
# --- Physical volumes of groups come, go, and change
truncate -s 65M d.img e.img
TENON_DEVICES=$TENON_DEVICES:$work/d.img:$work/e.img
t vg extend vg0 "$work/d.img"
theirs "256.00 4" vgs --noheadings --nosuffix --units m -o vg_size,pv_count vg0
t pv tag "$work/d.img" --add slow
t pv change "$work/d.img" --allocatable no
theirs "u-- slow" pvs --noheadings -o pv_attr,pv_tags -S 'pv_tags=slow'
refused 'is a physical volume of volume group vg0' vg extend vg0 "$work/d.img" --yes
refused 'are used' vg reduce vg0 "$work/a.img"
t pv change "$work/d.img" --allocatable yes
t lv create vg0/onslow --size 8M @slow
[ "$("$tenon" lv show vg0/onslow --json | grep -c 'd.img(0)')" = 1 ] || fail "@slow is not d.img"
truncate -s 97M d.img
t pv resize "$work/d.img"
theirs "96.00" pvs --noheadings --nosuffix --units m -o pv_size -S 'pv_tags=slow'
t pv resize "$work/d.img" --size 33M
theirs "32.00" pvs --noheadings --nosuffix --units m -o pv_size -S 'pv_tags=slow'
refused 'is used' pv resize "$work/d.img" --size 8M
refused 'cannot have' pv resize "$work/d.img" --size 1G
t lv remove vg0/onslow --yes
t vg reduce vg0 "$work/d.img"
theirs "3" vgs --noheadings -o pv_count vg0
theirs "" pvs --noheadings -o vg_name -S 'pv_name=~loop && vg_name=""'
t vg tag vg0 --add ours --add other
t vg tag vg0 --delete other
t vg change vg0 --alloc cling
theirs "wz--l- ours" vgs --noheadings -o vg_attr,vg_tags vg0
t vg change vg0 --alloc inherit
t pv remove "$work/d.img" --yes
refused 'is no physical volume' pv remove "$work/d.img" --yes
t pv create "$work/d.img" "$work/e.img"
refused 'physical volume already' pv create "$work/e.img"
refused 'is a physical volume of volume group' pv remove "$work/a.img" --yes

# --- The whole group
t vg rename vg0 vg-new
theirs "vg-new" vgs --noheadings -o vg_name
refused 'there is a volume group of this name\|is so already\|expected' vg rename vg-new vg-new
t vg export vg-new
theirs "wzx-n-" vgs --noheadings -o vg_attr
refused 'exported' lv create vg-new/no --size 1M
t vg import vg-new
t lv create vg-new/yes --size 1M
theirs "wz--n-" vgs --noheadings -o vg_attr
t vg rename vg-new vg0

# --- A disk is lost
t vg extend vg0 "$work/d.img"
refused 'no PV is missing' vg reduce vg0 --remove-missing --force --dry-run
t lv create vg0/lost --size 8M "$work/d.img"
t lv create vg0/here --size 1M "$work/a.img"
t lv create vg0/half --size 2M --type raid1 "$work/a.img" "$work/d.img"
t lv create vg0/gone --size 1M "$work/d.img"
mv d.img away
refused 'missing' lv create vg0/no --size 1M
refused 'missing' lv rename vg0/here there
refused 'vg reduce vg0 --remove-missing' lv extend vg0/here --size +1M
# what lvm2 does then, too: no more is allocated, but removed and set it may be
theirs() { # as theirs(), of a group that lacks a PV: vgck and all it says complain
	[ -n "$judge" ] || { lvm2 "${@:2}" || :; [ "$(tr -s ' \n' '  ' <theirs.out | sed 's/^ //; s/ $//')" = "$1" ] || fail "lvm2, ${*:2}: $(cat theirs.out)"; }
}
# How it is is said by the row of a listing alone
t lv list vg0
grep -q 'half .*degraded' said && ! grep -q 'starts with' said || fail "a listing of what is degraded"
t lv change vg0/half --minrecoveryrate 8K --maxrecoveryrate 1M
theirs "8 1024" lvs --noheadings -o raid_min_recovery_rate,raid_max_recovery_rate vg0/half
t lv change vg0/half --minrecoveryrate none
theirs "1024" lvs --noheadings -o raid_min_recovery_rate,raid_max_recovery_rate vg0/half
has lv vg0/half recovery_max_bytes 1048576
t lv change vg0/half --minrecoveryrate 8K --maxrecoveryrate none --dry-run
grep -q 'vg0/half: 8 KiB of each image would be synchronized a second, at least' said || fail "a dry run of a rate"
grep -q 'nothing would be said of how much is synchronized a second, at most' said || fail "a dry run without a rate"
has lv vg0/half recovery_max_bytes 1048576
refused 'above the greatest' lv change vg0/half --minrecoveryrate 2M
refused 'nothing is synchronized' lv change vg0/here --maxrecoveryrate 2M
for dry in '' --dry-run; do # what can be repaired is not thrown away; a dry run says so, too
	# shellcheck disable=SC2086
	refused 'vg0/half: has lost a part that can be replaced' vg reduce vg0 --remove-missing --force --yes $dry
done
t lv remove vg0/here --yes
t lv remove vg0/gone --yes
t lv remove vg0/half --yes
theirs "missing" pvs --noheadings -o pv_missing -S pv_missing=1
theirs "lost" lvs --noheadings -o lv_name -S 'lv_name=lost||lv_name=here||lv_name=gone||lv_name=~half' -a vg0
. "$root/tests/interop/lvm2_judge.sh"
for yes in '' --yes; do # that it is meant is no --force: volumes go with that alone
	# shellcheck disable=SC2086
	refused 'lies on a PV that is missing' vg reduce vg0 --remove-missing $yes
done
t vg reduce vg0 --remove-missing --force --dry-run
grep -q 'vg0/lost, which lies on what is missing' said || fail "a dry run does not say what is lost"
t vg reduce vg0 --remove-missing --force --yes
t lv create vg0/again --size 1M

# --- Limits, and a group of fixed size
t vg change vg0 --max-lvs 40 --max-pvs 5 --resizeable no
theirs "40" vgs --noheadings -o max_lv vg0
theirs "5" vgs --noheadings -o max_pv vg0
theirs "w---n-" vgs --noheadings -o attr vg0
for what in "change vg0 --max-lvs 0" "extend vg0 $work/e.img" "reduce vg0 $work/a.img" "split vg0 other $work/a.img"; do
	# shellcheck disable=SC2086
	refused 'is not resizeable' vg $what
done
refused 'more than the limit 1' vg change vg0 --resizeable yes --max-lvs 1
refused 'more than the limit 2' vg change vg0 --resizeable yes --max-pvs 2
theirs "40" vgs --noheadings -o max_lv vg0
t vg change vg0 --resizeable yes --max-lvs 0 --max-pvs 0
theirs "0" vgs --noheadings -o max_lv vg0
theirs "3" vgs --noheadings -o pv_count vg0
refused 'no PV is missing' vg reduce vg0 --remove-missing
rm away

# --- While it is served
"$tenon" serve --socket-dir "$work/run" vg0 >served 2>&1 & server=$!
for _ in $(seq 600); do grep -q ready served && break; sleep 0.1; done
t vg extend vg0 "$work/e.img"
t lv create vg0/live --size 8M "$work/e.img"
t vg tag vg0 --add live
t pv resize "$work/e.img" --size 33M
# what a group and its PVs say of themselves
t vg tag vg0 --add shown
t vg change vg0 --alloc cling --autoactivate no
t pv tag "$work/a.img" --add live
t pv change "$work/a.img" --allocatable no
has vg vg0 tags ours,live,shown
has vg vg0 allocation cling
has vg vg0 autoactivate False
has pv "$work/a.img" tags live
has pv "$work/a.img" allocatable False
t vg repair vg0
t vg tag vg0 --delete shown
t vg change vg0 --alloc normal --autoactivate yes
t pv tag "$work/a.img" --delete live
t pv change "$work/a.img" --allocatable yes
has vg vg0 tags ours,live
! "$tenon" vg rename vg0 other >said 2>&1 || fail "renamed under a server"
grep -q 'running server' said || fail "does not say that a server has it"
! "$tenon" vg reduce vg0 "$work/e.img" >said 2>&1 || fail "a used PV left"
t lv remove vg0/live --yes
t vg reduce vg0 "$work/e.img"
t pv remove "$work/e.img" --yes
kill $server; wait $server || true; server=
theirs "3 live,ours" vgs --noheadings -o pv_count,vg_tags vg0


# --- A PV that slept through changes comes back; copies become a group of their own
cp b.img slept
t lv create vg0/meanwhile --size 1M
dd if=slept of=b.img bs=1M count=1 conv=notrunc status=none
"$tenon" vg show vg0 --json | grep -q 'the next change repairs it' || fail "a stale area is not told of"
t vg repair vg0
! "$tenon" vg show vg0 --json | grep -q 'the next change repairs it' || fail "repair leaves it stale"
theirs "vg0" vgs --noheadings -o vg_name
rm e.img slept
for name in a b c; do cp $name.img $name.copy.img; done
before=$(field vg vg0 uuid)
refused 'on none of the devices' vg clone copy "$work/a.copy.img" "$work/b.copy.img"
refused 'there is a volume group of this name' vg clone vg0 "$work"/?.copy.img
t vg clone copy "$work"/?.copy.img
TENON_DEVICES=$TENON_DEVICES:$work/a.copy.img:$work/b.copy.img:$work/c.copy.img
[ "$(field vg copy uuid)" != "$before" ] && [ "$(field vg vg0 uuid)" = "$before" ] || fail "UUIDs of a clone"
t lv create copy/own --size 1M
theirs "3 copy 3 vg0" vgs --noheadings -o pv_count,vg_name
t lv remove copy/own --yes
echo passed
