#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# PVs that cling together by their tags (lvm.conf, allocation/cling_tag_list): ours chooses the extents that the real lvcreate and lvextend choose.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
tenon=${TENON:-$root/${BUILD:-build}/tenon}
work=$(mktemp -d)
trap 'lvm2_end; rm -rf "$work"' EXIT
cd "$work"
mkdir run before lvm
export LC_ALL=C TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state TENON_ARCHIVE=off LVM_SUPPRESS_FD_WARNINGS=1
export TENON_DEVICES="$work/*.img" LVM_SYSTEM_DIR=$work/lvm
fail() { echo "failed: $*"; [ ! -s said ] || cat said; exit 1; }
t() { "$tenon" "$@" >said 2>&1 || fail "tenon $*"; }
. "$root/tests/interop/lvm2_judge.sh"

places() { # where the volumes are, by extents
	"$tenon" lv list --all --json 2>/dev/null | python3 -c '
import json, subprocess, sys
for row in json.load(sys.stdin):
    lv = json.loads(subprocess.check_output([sys.argv[1], "lv", "show", row["vg"] + "/" + row["name"], "--json"], stderr=subprocess.DEVNULL))
    print(lv["name"], [(s["extents"], [a.rpartition("/")[2] if isinstance(a, str) else a for a in s["areas"]]) for s in lv["segments"]])' "$tenon"
}
list() { # TAG...: is the list of lvm2 and of ours
	local tags
	tags=$(printf '"%s", ' "$@")
	lvm2_config="allocation { cling_tag_list = [ ${tags%, } ] }"
	[ $# = 0 ] && lvm2_config=
	printf 'devices {\n\tumask = 077 # not of ours\n}\n%s\n' "$lvm2_config" >lvm/lvm.conf
}
# WHAT THEIRS -- OURS: both do it to the same disks, and the volumes are in the same places then; or both refuse
same() {
	local what=$1 theirs=() rc=0 ours=0; shift
	while [ "$1" != -- ]; do theirs+=("$1"); shift; done
	shift
	cp ./*.img before/
	if [ -z "$judge" ]; then
		lvm2 "${theirs[@]}" || rc=$?
		places >expected
		cp before/*.img .
	fi
	"$tenon" "$@" >said 2>&1 || ours=$?
	[ -z "$judge" ] || return 0
	[ $rc = 0 ] && [ $ours = 0 ] || [ $rc != 0 -a $ours != 0 ] || fail "$what: lvm2 ended with $rc, ours with $ours"
	places >found
	cmp -s expected found || { diff expected found || :; fail "$what"; }
}
anew() { # a, b and f are at one place, c and d at another, e at none; x is on a
	rm -f ./*.img
	truncate -s 17M a.img b.img c.img d.img e.img f.img
	t vg create vg a.img b.img c.img d.img e.img f.img --extent-size 1M
	for image in a b f; do t pv tag $image.img --add here; done
	for image in c d; do t pv tag $image.img --add there; done
}

# Without a list tags say nothing: what clings stays on its PV
list
anew
t lv create vg/x --size 8M a.img
same 'no list' lvextend --alloc cling -l +10 vg/x -- lv extend vg/x --alloc cling --extents +10
list @here
same 'cling by a tag' lvextend --alloc cling_by_tags -l +10 vg/x -- lv extend vg/x --alloc cling_by_tags --extents +10
t lv show vg/x
grep -q 'b.img(0)' said || fail 'not on the PV that is alike'
same 'over two that are alike' lvextend --alloc cling -l +20 vg/x -- lv extend vg/x --alloc cling --extents +20
same 'none is left that is alike' lvextend --alloc cling -l +20 vg/x -- lv extend vg/x --alloc cling --extents +20
same 'then elsewhere, who may' lvextend -l +20 vg/x -- lv extend vg/x --extents +20
# A list that names another tag, each tag, what is none
anew
list @else
t lv create vg/x --size 8M c.img
same 'another tag' lvextend --alloc cling -l +10 vg/x -- lv extend vg/x --alloc cling --extents +10
list here there ''
same 'no tags' lvextend --alloc cling -l +10 vg/x -- lv extend vg/x --alloc cling --extents +10
list @else '@*'
same 'each tag' lvextend --alloc cling -l +10 vg/x -- lv extend vg/x --alloc cling --extents +10
t lv show vg/x
grep -q 'd.img(0)' said || fail 'not on the PV that is alike'
# Stripes and images keep apart
anew
list @here @there
same 'stripes' lvcreate -an -Zn -Wn -l 8 -i 2 -n s vg -- lv create vg/s --extents 8 --stripes 2
t lv show vg/s
grep -q 'a.img(0), .*c.img(0)' said || fail 'stripes that are alike'
same 'stripes that cling' lvcreate -an -Zn -Wn -l 8 -i 3 --alloc cling -n t vg -- lv create vg/t --extents 8 --stripes 3 --alloc cling
same 'more stripes than places' lvcreate -an -Zn -Wn -l 8 -i 4 --alloc cling -n u vg -- lv create vg/u --extents 8 --stripes 4 --alloc cling
same 'stripes grow' lvextend --alloc cling -l +30 vg/s -- lv extend vg/s --alloc cling --extents +30
anew
t lv create vg/m --type raid1 --size 4M
t lv list vg --all
t lv show vg/m_rimage_1
grep -q 'c.img' said || fail "both images are here: $(cat said)"
# Sections that are there twice, a key with its section, the last of two
for text in 'allocation { maximise_cling = 1 } allocation { cling_tag_list = [ "@here" ] }' 'allocation/cling_tag_list = "@here"' \
	'allocation { cling_tag_list = "@else" } allocation { cling_tag_list = "@here" }' 'allocation { cling_tag_list = "@here" cling_tag_list = "@else" }'; do
	list
	anew
	t lv create vg/x --size 8M a.img
	echo "$text" >lvm/lvm.conf
	same "$text" lvextend --alloc cling -l +10 vg/x -- lv extend vg/x --alloc cling --extents +10
done
# The host's own file counts first; one that cannot be read is told of
anew
list @else
t lv create vg/x --size 8M a.img
list @here
: >lvm/lvmlocal.conf
same 'an empty file beside it' lvextend --alloc cling -l +10 vg/x -- lv extend vg/x --alloc cling --extents +10
grep -q 'not known' said && fail "an empty file: $(cat said)"
t lv reduce vg/x --size 8M --yes
list @else
echo 'allocation { cling_tag_list = "@here" }' >lvm/lvmlocal.conf
t lv extend vg/x --alloc cling --size +10M
echo 'allocation { cling_tag_list = [ "@here" }' >lvm/lvmlocal.conf
"$tenon" lv extend vg/x --alloc cling --size +30M >said 2>&1 && fail 'clings to nothing'
grep -q 'lvmlocal.conf.*cling_tag_list is not known' said || fail 'a broken file is not told of'
echo passed
