#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Groups are split and merged, by us and by lvm2, which each say the same of what the other made; `vg check`.
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
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img:$work/d.img
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
groups() { theirs "$1" vgs --noheadings --nosuffix --units m -o vg_name,pv_count,lv_count,vg_size,vg_free; }
volumes() { theirs "$1" lvs --noheadings -o vg_name,lv_name,lv_size --units m --nosuffix; }
same() { "$tenon" copy "$1" - 2>said | cmp - "$2" || fail "$1 is not what it was"; }

truncate -s 33M a.img b.img c.img d.img
t vg create vg0 a.img b.img c.img --extent-size 1M --tag keep
t lv create vg0/one --size 8M a.img
t lv create vg0/two --size 4M --type raid1 b.img c.img --nosync
t lv create vg0/wide --size 4M --stripes 2 a.img b.img
head -c 8M /dev/urandom >one
head -c 4M /dev/urandom >two
t copy one vg0/one
t copy two vg0/two

refused 'vg0/.*: lies on devices that would go to vg1 and on others' vg split vg0 vg1 a.img
refused 'give either devices or --volume' vg split vg0 vg1
refused 'all its devices would go' vg split vg0 vg1 a.img b.img c.img
refused 'cannot be split into itself' vg split vg0 vg0 a.img
refused 'is no physical volume of volume group' vg split vg0 vg1 d.img
refused 'no such volume' vg split vg0 vg1 --volume none
refused 'no such volume' vg split vg0 vg1 --volume vg01/two
t lv remove vg0/wide --yes
# A volume says which devices; only said at first
before=$(cat ./*.img | sha256sum)
t vg split vg0 vg1 --volume vg0/two --dry-run
[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "a dry run"
grep -q 'vg1: would be a group of its own, with 2 physical volumes' said || fail "what would be"
t vg split vg0 vg1 --volume two
groups "vg0 1 1 32.00 24.00 vg1 2 1 64.00 54.00"
volumes "vg0 one 8.00 vg1 two 4.00"
same vg0/one one
same vg1/two two
t vg check vg0
t vg check vg1
[ "$("$tenon" vg show vg1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["tags"])')" = "['keep']" ] || fail "tags"

# A group that yields: what a cut of power in the middle leaves
half_merged() { # FROM INTO
	t vg tag "$1" --add "tenon:yields_to:$("$tenon" vg show "$2" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')"
	t vg export "$1"
}
half_merged vg1 vg0
"$tenon" vg show vg1 >said; grep -q 'vg import' said || fail "what to do with half a split"
! "$tenon" vg check vg1 >said 2>&1 || fail "half a split is in order"
refused 'exported' vg merge vg1 vg0
t vg import vg1
t vg check vg1
! "$tenon" vg show vg1 | grep -q yields || fail "its tag"

# While one of them is served
serve() {
	rm -f log # what the last one said is there until the shell has truncated it
	"$tenon" serve "$1" --socket-dir sockets >log 2>&1 & server=$!
	for _ in $(seq 600); do ! grep -qs ready log || return 0; sleep 0.1; done
	fail "no server"
}
mkdir sockets
serve vg1
refused 'use\|server\|held' vg merge vg0 vg1
refused 'use\|server\|held' vg split vg1 vg2 c.img
kill $server; wait $server; server=

# Names that both have, other extents
t lv rename vg1/two one
refused 'has a volume of this name' vg merge vg0 vg1
t lv rename vg1/one two
refused 'no such volume group' vg merge vg0 vg2
refused 'cannot be merged with itself' vg merge vg0 vg0
# That it is exported hides nothing else that is in the way.
half_merged vg1 vg0
TENON_DEVICES=$work/a.img:$work/b.img refused 'PVs are missing' vg merge vg0 vg1
TENON_DEVICES=$work/a.img:$work/c.img refused 'PVs are missing' vg merge vg0 vg1
truncate -s 32M c.img
refused 'must have .* again' vg merge vg0 vg1
truncate -s 33M c.img
t vg merge vg0 vg1 # goes on
groups "vg0 3 2 96.00 78.00"
volumes "vg0 one 8.00 vg0 two 4.00"
same vg0/one one
same vg0/two two
t vg check vg0

# Theirs
if [ -z "$judge" ]; then
	lvm2 vgsplit vg0 vg9 IMAGE_a || { cat theirs.err; fail vgsplit; }
	t vg check vg9
	same vg9/one one
	same vg0/two two
	t vg merge vg9 vg0
	lvm2 vgsplit -n one vg9 vg8 || { cat theirs.err; fail vgsplit; }
	t vg rename vg9 vg7
	lvm2 vgmerge vg8 vg7 || { cat theirs.err; fail vgmerge; }
	t vg check vg8
	groups "vg8 3 2 96.00 78.00"
	same vg8/one one
	same vg8/two two
fi

# Into a group that is there, by us and by lvm2
group=$("$tenon" vg list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["name"])')
[ "$group" = vg0 ] || t vg rename "$group" vg0
t vg split vg0 vg1 a.img
t lv rename vg1/one two
refused 'tenon vg merge does that' vg split vg1 vg0 a.img
t vg extend vg1 d.img
refused 'has a volume of this name' vg split vg1 vg0 a.img
t lv rename vg1/two one
before=$(cat ./*.img | sha256sum)
t vg split vg1 vg0 --volume one --dry-run
grep -q 'vg0: would have 1 physical volume more, of vg1' said || fail "what would be"
[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "a dry run"
serve vg0
refused 'use\|server\|held' vg split vg1 vg0 a.img
kill $server; wait $server; server=
t vg split vg1 vg0 a.img
grep -q 'vg0: has 1 physical volume more, of vg1' said || fail "what is"
groups "vg0 3 2 96.00 78.00 vg1 1 0 32.00 32.00"
volumes "vg0 one 8.00 vg0 two 4.00"
same vg0/one one
same vg0/two two
t vg check vg0
t vg check vg1
if [ -z "$judge" ]; then
	lvm2 vgsplit vg0 vg1 IMAGE_a || { cat theirs.err; fail vgsplit; }
	same vg1/one one
	lvm2 vgsplit vg1 vg0 IMAGE_a || { cat theirs.err; fail vgsplit; }
	t vg check vg0
	groups "vg0 3 2 96.00 78.00 vg1 1 0 32.00 32.00"
fi

# Another UUID
t vg backup vg0 --file before
uuid_of() { "$tenon" vg show "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["uuid"])'; }
was=$(uuid_of vg0)
before=$(cat ./*.img | sha256sum)
t vg change vg0 --uuid --dry-run
grep -q 'vg0: would have another UUID' said || fail "what would be"
[ "$before" = "$(cat ./*.img | sha256sum)" ] || fail "a dry run"
t vg change vg0 --uuid
now=$(uuid_of vg0)
[ "$now" != "$was" ] || fail "it is the same UUID"
grep -q "vg0: has UUID $now now" said || fail "which UUID"
groups "vg0 3 2 96.00 78.00 vg1 1 0 32.00 32.00"
theirs "$now" vgs --noheadings -o vg_uuid vg0
t vg check vg0
# A text from before that is not of this group, but may be made that
refused "vg0 with UUID $was; vg0 on .* has UUID $now now" vg restore vg0 --file before --yes
grep -q -e "--force restores the file over it" said || fail "what to do"
sed "s/$was/$now/" before >after
t vg restore vg0 --file after --yes
t vg check vg0
same vg0/one one
same vg0/two two
if [ -z "$judge" ]; then
	lvm2 vgchange -u vg0 || { cat theirs.err; fail "vgchange -u"; }
	[ "$(uuid_of vg0)" != "$now" ] || fail "vgchange -u"
	t vg check vg0
fi
# What a cut of power in the middle leaves: a.img has the new UUID, the others yield to that. It is one group, and is mended.
mkdir old new
cp b.img c.img a.img old
t vg change vg0 --uuid
now=$(uuid_of vg0)
cp a.img new
cp old/*.img .
t vg tag vg0 --add "tenon:yields_to:$now"
t vg export vg0
cp new/a.img .
[ "$(uuid_of vg0)" = "$now" ] || fail "which of two UUIDs"
same vg0/one one
t vg repair vg0
groups "vg0 3 2 96.00 78.00 vg1 1 0 32.00 32.00"
t vg check vg0
rm -r old new
refused 'goes alone' vg change vg0 --uuid --max-lvs 3
serve vg0
refused 'use\|server\|held' vg change vg0 --uuid
refused 'use\|server\|held' vg change vg0 --systemid host-1
kill $server; wait $server; server=

# The host that may use it: lvm2 says so, and what it says holds
system_id() { "$tenon" vg show "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["system_id"])'; }
refused 'system ID' vg change vg0 --systemid 'a b'
refused 'has no system ID' vg change vg0 --systemid ''
t vg change vg0 --systemid host-1
[ "$(system_id vg0)" = host-1 ] || fail "system ID"
refused 'host with system ID host-1' lv create vg0/more --size 1M
refused 'host with system ID host-1' vg change vg0 --uuid
refused 'host with system ID host-1' vg merge vg0 vg1
lvm2_config='global/system_id_source="lvmlocal" local { system_id="host-1" }'
theirs "vg0 host-1" vgs --noheadings -o vg_name,systemid vg0
if [ -z "$judge" ]; then
	lvm2 lvcreate -an -Zn -Wn -y -n theirs -L 1M vg0 || { cat theirs.err; fail "lvcreate in a group of its host"; }
	lvm2 lvremove -y vg0/theirs || { cat theirs.err; fail lvremove; }
	lvm2_config='global/system_id_source="lvmlocal" local { system_id="host-2" }'
	! lvm2 lvcreate -an -Zn -Wn -y -n theirs -L 1M vg0 || fail "lvm2 of another host changed it"
	lvm2_config='global/system_id_source="lvmlocal" local { system_id="host-1" }'
	lvm2 vgchange -y --systemid host-3 vg0 || true # done, but then it is no group that vgck of this host may look at
	[ "$(system_id vg0)" = host-3 ] || { cat theirs.err; fail "vgchange --systemid"; }
fi
refused 'may be using it' vg change vg0 --systemid ''
t vg change vg0 --systemid '' --dry-run
grep -q 'vg0: would belong to no host alone' said || fail "what would be"
# It is somebody else's by the time that the question is answered
[ "$(system_id vg0)" = host-3 ] || t vg change vg0 --systemid host-3 --yes
MEANWHILE="'$tenon' vg change vg0 --systemid host-4 --yes" python3 "$root/tests/interop/consent_pty.py" y "$tenon" vg change vg0 --systemid '' >said 2>&1 &&
	fail "another host's than the one that was asked about"
grep -q 'its system ID was "host-3" when that was asked, and is "host-4" now' said || fail "whose it is by now"
[ "$(system_id vg0)" = host-4 ] || fail "system ID"
t vg change vg0 --systemid '' --yes
[ "$(system_id vg0)" = None ] || fail "system ID"
lvm2_config=
# Exported, and a device of it is gone, which lvm2 takes in with --force, too
t vg export vg0
mv c.img away
refused '--force takes it in without those' vg import vg0
t vg import vg0 --force --dry-run
t vg import vg0 --force
grep -q 'is marked as missing' said || fail "what is told"
refused 'PVs are missing' lv create vg0/more --size 1M
mv away c.img
t vg repair vg0 --restore-missing
groups "vg0 3 2 96.00 78.00 vg1 1 0 32.00 32.00"
t vg check vg0

# Damage of one device, one that is missing
printf 'XXXX' | dd of=c.img bs=1 seek=4200 conv=notrunc status=none
! "$tenon" vg check "$("$tenon" vg list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["name"])')" >said 2>&1 || fail "damage was not found"
grep -q 'damaged.*metadata area' said || fail "which damage"
echo "done"
