#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Completion in a real bash and a real zsh, from the files that `make install` puts in place: verbs, options, values, and
# names that are on the devices.
set -u
. "$(dirname "$0")/lib.sh"
tests=$PWD/tests/interop
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }

make --no-print-directory -s install DESTDIR="$work/root" PREFIX=/usr BUILD="${BUILD:-build}" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
files=$work/files
mkdir "$files"
cp "$work/root/usr/share/bash-completion/completions/tenon" "$files/tenon.bash" || problem "bash's file is not installed"
cp "$work/root/usr/share/zsh/site-functions/_tenon" "$files/_tenon" || problem "zsh's file is not installed"
cd "$work" || exit 1
mkdir disks bin
ln -s "$TENON" bin/tenon
export PATH=$work/bin:$PATH TENON_RUNTIME_DIR=$work/run TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img
truncate -s 64M a.img b.img c.img other.img
tenon raid create mirror --level 1 a.img b.img || problem 'raid create'
tenon vg create vg c.img && tenon lv create vg/data --size 8M && tenon lv create vg/dates --size 8M || problem 'volumes'
tenon vg create elsewhere other.img --device other.img || problem 'another group'

# Each line before TAB, and after it.
before=() after=()
becomes() { before+=("$1") after+=("$2"); }
becomes 'tenon rai' 'tenon raid'
becomes 'tenon help sw' 'tenon help switch'
becomes 'tenon lv ren' 'tenon lv rename'
becomes 'tenon lv convert vg/data --type str' 'tenon lv convert vg/data --type striped'
becomes 'tenon lv create vg/x --alloc cl' 'tenon lv create vg/x --alloc cling'
becomes 'tenon image build debian x --suite bo' 'tenon image build debian x --suite bookworm'
becomes 'tenon copy x y --output-format q' 'tenon copy x y --output-format qcow2'
becomes 'tenon raid create x --level li' 'tenon raid create x --level linear'
becomes 'tenon lv create --str' 'tenon lv create --stripe'
becomes 'tenon raid create new --homeh' 'tenon raid create new --homehost'
becomes 'tenon vm run --on-panic re' 'tenon vm run --on-panic restart'
becomes 'tenon switch run x --stp st' 'tenon switch run x --stp stp'
becomes 'tenon switch mirror x add m ou' 'tenon switch mirror x add m ou'
becomes 'tenon lv show v' 'tenon lv show vg/dat'
becomes 'tenon lv show vg/date' 'tenon lv show vg/dates'
becomes 'tenon lv create v' 'tenon lv create vg/'
becomes 'tenon lv remove vg/data x' 'tenon lv remove vg/data x'
becomes 'tenon vg show --device other.img e' 'tenon vg show --device other.img elsewhere'
becomes 'tenon raid show mi' 'tenon raid show mirror'
becomes 'tenon raid test raid5-los' 'tenon raid test raid5-loss'
becomes 'tenon raid test show bug-spare' 'tenon raid test show bug-spare-ahead'
becomes 'tenon raid test --compare raid5-loss raid6-lat' 'tenon raid test --compare raid5-loss raid6-latent'
becomes 'tenon raid test othe' 'tenon raid test other.img'
becomes 'tenon raid create mi' 'tenon raid create mi'
becomes "tenon raid fail mirror $work/b." "tenon raid fail mirror $work/b.img"
becomes 'tenon serve md/' 'tenon serve md/mirror'
becomes 'tenon copy othe' 'tenon copy other.img'
becomes 'tenon copy md/m' 'tenon copy md/mirror'
becomes 'tenon copy other.img vg/date' 'tenon copy other.img vg/dates'
becomes 'tenon copy vhost-user:so' 'tenon copy vhost-user:so'
for shell in bash zsh; do
	command -v $shell >/dev/null || { echo "$shell is not installed: left out"; continue; }
	python3 "$tests/completion_pty.py" $shell "$files" "${before[@]}" >got 2>&1 || problem "$shell: $(cat got)"
	mapfile -t got <got
	for ((i = 0; i < ${#before[@]}; i++)); do
		[ "${got[i]-}" = "${after[i]}" ] || problem "$shell: '${before[i]}' became '${got[i]-}', expected '${after[i]}'"
	done
done
# Without devices, and where one is no image, there is nothing to say and no message either.
[ -z "$(TENON_DEVICES='' tenon --complete lv show '' 2>&1)" ] || problem 'names without devices'
[ -z "$(TENON_DEVICES=$work/nothing tenon --complete lv show '' 2>/dev/null)" ] || problem 'names of a device that is not there'
tenon --complete lv show '' | grep -q '^vg/data	volume$' || problem 'no explanation'
# A word that may be left out, and what is then there in its place.
mkdir -p run && touch run/switch-labor.sock
for verb in table port; do
	tenon --complete switch $verb '' >offered
	grep -q '^labor	running switch$' offered && grep -q '^list' offered || problem "switch $verb: $(cat offered)"
	tenon --complete switch $verb list '' | grep -q '^labor' || problem "switch $verb list: $(tenon --complete switch $verb list '')"
done
tenon --complete switch stp labor '' >offered
grep -q '^show' offered && grep -q '^off' offered || problem "switch stp labor: $(cat offered)"

make --no-print-directory -s -C "$tests/../.." uninstall DESTDIR="$work/root" PREFIX=/usr >/dev/null
find "$work/root" -type f | grep . && problem 'uninstall left files'
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
