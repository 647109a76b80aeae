#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# RAID0, linear and RAID10, both ways: what tenon makes and fills, the real md assembles, finds sound, and reads the same,
# also without a member; what md makes and fills, tenon reads whole and without any one member, and fills a new
# member of, which md then accepts.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
rig_known_data known 128

# NAME LEVEL LAYOUT CHUNK VERSION BITMAP SIZE...: a layout of "-" is the usual one; the kernel makes no far sets by itself.
CASES='
zero   0      -         64K  1.2 none  8M 8M 8M
orig   0      original  32K  1.2 none  8M 12M 9000K
alt    0      alternate 64K  1.0 none  8M 12M 9000K
odd    0      alternate 20K  1.2 none  8M 12M 9000K
lin    linear -         -    1.2 none  8M 12M
n2     10     n2        64K  1.2 64K   8M 8M 8M 8M
n2odd  10     n2        32K  1.0 none  8M 9M 8M
n3     10     n3        64K  1.1 none  8M 8M 8M 8M 8M
f2     10     f2        64K  1.2 128K  8M 8M 8M
o2     10     o2        16K  1.1 none  8M 8M 8M
o3     10     o3        64K  1.2 none  8M 8M 8M 8M
sets   10     0x40201   64K  1.2 none  8M 8M 8M 8M
sets5  10     0x50201   64K  1.2 none  8M 8M 8M 8M 8M
'
# In groups of so few that User Mode Linux has disks for them.
GROUPS_='zero:orig:alt:lin n2:n2odd:n3 f2:o2:o3:odd sets:sets5'
case_of() { grep "^$1 " <<<"$CASES"; }
digest_of() { md5sum | cut -d ' ' -f 1; }
has_copies() { case $(case_of "$1") in *' 10 '*) ;; *) return 1 ;; esac; }


# DIR NAMES, a word each and a folder of disks NAME.0, NAME.1 ...: boots, and runs the commands on standard input for each
# of them; they see $name $level $layout $chunk $version $bitmap $known, and its disks as $@.
in_guest() {
	local dir=$1 names=$2 commands number=0 name row disk
	commands=$(cat)
	{
		cat <<'GUEST'
		set -e
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { [ ! -e $md/sync_action ] || until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
		note() { echo "$name $1 $(md5sum </dev/md0 | cut -d " " -f 1)" >>/result/digests; }
		stop() { mdadm --wait-clean /dev/md0 || :; mdadm --stop /dev/md0 2>&1; }
		last() { for last; do :; done; known=$last; }
		last $DISKS
GUEST
		for name in $names; do
			read -r -a row <<<"$(case_of "$name")"
			echo "name=$name level=${row[1]} layout=${row[2]} chunk=${row[3]} version=${row[4]} bitmap=${row[5]}"
			printf 'set --'
			for disk in $(seq 0 $((${#row[@]} - 7))); do
				printf ' $DISK%d' $number
				number=$((number + 1))
			done
			printf '\n%s\n' "$commands"
		done
	} >script
	# shellcheck disable=SC2046
	rig_boot uml --name "$dir.guest" $(
		for name in $names; do
			read -r -a row <<<"$(case_of "$name")"
			for disk in $(seq 0 $((${#row[@]} - 7))); do printf -- '--disk %s ' "$dir/$name.$disk"; done
		done
	) --disk known:ro --with mdadm --with blockdev --modules "raid0 linear? raid1 raid10" --script script
}

make_disks() {
	local dir=$1 name=$2 row i
	mkdir -p "$dir"
	read -r -a row <<<"$(case_of "$name")"
	for i in $(seq 6 $((${#row[@]} - 1))); do truncate -s "${row[i]}" "$dir/$name.$((i - 6))"; done
}
members() { echo "$1/$2".[0-9]; }
# DISK...: what is read of them, by an assembly that writes nothing.
read_of() { "$TOOL" assemble -r "$@" -- cat 2>>log | digest_of; }
failed=0
same() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; failed=1; }; }

# ---- tenon makes and fills, md judges ----
ours() {
	local name=$1 options row
	read -r -a row <<<"$(case_of "$name")"
	make_disks ours "$name"
	options=(-l "${row[1]}" -m "${row[4]}")
	[ "${row[2]}" = - ] || options+=(-L "${row[2]}")
	[ "${row[3]}" = - ] || options+=(-k "${row[3]}")
	[ "${row[5]}" = none ] && options+=(-B) || options+=(-b "${row[5]}")
	"$TOOL" create "$name" "${options[@]}" $(members ours "$name") -- wait fill known >/dev/null 2>>log ||
		{ cat log; rig_fail "$name cannot be made"; }
	echo "$name whole $(read_of $(members ours "$name"))" >>ours.digests
	has_copies "$name" || return 0
	echo "$name without $(read_of $(members ours "$name"))" >>ours.digests
}
>ours.digests
for group in $GROUPS_; do
	for name in ${group//:/ }; do ours "$name"; done
	in_guest ours "${group//:/ }" <<'GUEST' || rig_fail "md does not take what tenon made"
		if [ $name = lin ] && ! grep -q linear /proc/mdstat; then
			echo "$name whole - no linear here" >>/result/digests
		else
			mdadm --assemble --run /dev/md0 "$@" 2>&1
			idle
			if [ -e $md/sync_action ]; then
				echo check >$md/sync_action; idle
				echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches
			fi
			note whole; stop
			if [ $level = 10 ]; then
				shift
				mdadm --assemble --run /dev/md0 "$@" 2>&1
				note without; stop
			fi
		fi
GUEST
	cat "$(rig_results ours.guest)/digests" >>judged
	cat "$(rig_results ours.guest)/mismatches" >>mismatches 2>/dev/null || :
done
while read -r name what sum rest; do
	[ "$sum" = - ] && { echo "$name: $rest"; continue; }
	same "$name $what, as md reads it" "$sum" "$(sed -n "s/^$name $what //p" ours.digests)"
done <judged
[ "$(wc -l <judged)" = 21 ] || rig_fail "$(wc -l <judged) of 21 judged"
[ "$(grep -c ' 0 0$' mismatches)" = 8 ] || { cat mismatches; rig_fail "md finds that copies differ"; }

# ---- md makes and fills, tenon reads and rebuilds ----
for group in $GROUPS_; do
	[ "$group" != sets:sets5 ] || continue
	for name in ${group//:/ }; do make_disks theirs "$name"; done
	in_guest theirs "${group//:/ }" <<'GUEST' || rig_fail "md cannot make them"
		if [ $name = lin ] && ! grep -q linear /proc/mdstat; then
			echo "$name whole -" >>/result/digests
		else
			[ $layout = - ] || set -- --layout=$layout "$@"
			[ $chunk = - ] || set -- --chunk=$chunk "$@"
			[ $level != 10 ] || [ $bitmap != none ] || set -- --bitmap=none "$@"
			[ $bitmap = none ] || set -- --bitmap=internal --bitmap-chunk=$bitmap "$@"
			count=0
			for word; do case $word in --*) ;; *) count=$((count + 1)) ;; esac; done
			yes | mdadm --create /dev/md0 --run --homehost=peer --name=$name --level=$level \
				--metadata=$version --raid-devices=$count "$@" 2>&1
			idle
			dd if=$known of=/dev/md0 bs=1M conv=fsync count=$(($(blockdev --getsize64 /dev/md0) / 1048576)) 2>/dev/null
			idle
			note whole; echo 3 >/proc/sys/vm/drop_caches; stop
		fi
GUEST
	cat "$(rig_results theirs.guest)/digests" >>theirs.digests
done
back=()
while read -r name _ sum; do
	[ "$sum" != - ] || continue
	disks=($(members theirs "$name"))
	same "$name, which md made" "$(read_of "${disks[@]}")" "$sum"
	has_copies "$name" || continue
	for i in "${!disks[@]}"; do
		same "$name without ${disks[i]}" "$(read_of "${disks[@]:0:i}" "${disks[@]:i+1}")" "$sum"
	done
	# A member is lost, and a new one filled; and md has the last word.
	truncate -s "$(stat -c %s "${disks[1]}")" "theirs/$name.new"
	"$TOOL" assemble "${disks[@]}" -- fail "${disks[1]}" remove "${disks[1]}" add "theirs/$name.new" wait >/dev/null 2>>log ||
		{ cat log; rig_fail "$name cannot be rebuilt"; }
	mv "theirs/$name.new" "${disks[1]}"
	back+=("$name")
done <theirs.digests
[ ${#back[@]} = 6 ] || rig_fail "${#back[@]} rebuilt"
for names in "${back[*]:0:3}" "${back[*]:3}"; do
	in_guest theirs "$names" <<'GUEST' || rig_fail "md does not take what tenon rebuilt"
		mdadm --assemble --run /dev/md0 "$@" 2>&1
		idle
		echo check >$md/sync_action; idle
		echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches
		note whole; stop
GUEST
	[ "$(grep -c ' 0 0$' "$(rig_results theirs.guest)/mismatches")" = 3 ] ||
		{ cat "$(rig_results theirs.guest)/mismatches"; rig_fail "md finds that copies differ after a rebuild"; }
	while read -r name _ sum; do
		same "$name, rebuilt" "$sum" "$(sed -n "s/^$name whole //p" theirs.digests)"
	done <"$(rig_results theirs.guest)/digests"
done

# ---- In the middle of something, both ways ----
CASES+='
mid    10     f2        64K  1.2 none  8M 8M 8M
rec    10     n2        64K  1.2 none  8M 8M 8M 8M
gone   10     o2        64K  1.2 64K   8M 8M 8M
'
for name in mid rec gone; do make_disks theirs "$name"; done
in_guest theirs 'mid rec gone' <<'GUEST' || rig_fail "md cannot make them"
	create() {
		count=$#
		case $bitmap in none) set -- --bitmap=none "$@" ;; *) set -- --bitmap=internal --bitmap-chunk=$bitmap "$@" ;; esac
		yes | mdadm --create /dev/md0 --run --name=$name --level=10 --layout=$layout --chunk=$chunk --raid-devices=$count "$@" 2>&1
	}
	fill() { dd if=$known of=/dev/md0 bs=1M conv=fsync count=$1 seek=${2:-0} skip=${2:-0} 2>/dev/null; }
	case $name in
	mid)
		echo 1000 >/proc/sys/dev/raid/speed_limit_max # or it is over before it is told where to stop
		create "$@"
		echo frozen >$md/sync_action
		echo 8192 >$md/sync_max
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		echo idle >$md/sync_action
		until [ "$(sed 's/ .*//' $md/sync_completed)" = 8192 ]; do sleep 0.05; done
		fill 6; note whole; stop ;;
	rec)
		create "$1" missing "$3" "$4"; idle; fill 12
		echo frozen >$md/sync_action
		mdadm /dev/md0 --add $2 2>&1
		echo 8192 >$md/sync_max
		echo idle >$md/sync_action
		until [ "$(sed 's/ .*//' $md/sync_completed)" = 8192 ]; do sleep 0.05; done
		note whole; stop ;;
	gone)
		create "$@"; idle; fill 4
		mdadm /dev/md0 --fail $2 2>&1; mdadm /dev/md0 --remove $2 2>&1
		fill 4 4; note whole; stop ;;
	esac
GUEST
cp "$(rig_results theirs.guest)/digests" interrupted.digests
sum_of() { sed -n "s/^$1 whole //p" interrupted.digests; }
mdadm --examine theirs/mid.0 | grep -q 'State : active' || rig_fail "mid is not in the middle of its resync"
mdadm --examine theirs/rec.1 >rec.theirs; grep -q "Recovery Offset : [1-9]" rec.theirs || { cat rec.theirs; rig_fail "theirs: rec is not in the middle of its recovery"; }
python3 "$TOP/tests/interop/raid_examine.py" "$TENON" theirs/mid.? theirs/rec.? theirs/gone.? >judged || { cat judged; rig_fail "examine and mdadm differ"; }
for name in mid rec gone; do same "$name, which md left" "$(read_of $(members theirs $name))" "$(sum_of $name)"; done
same "rec without what is not recovered" "$(read_of theirs/rec.0 theirs/rec.2 theirs/rec.3)" "$(sum_of rec)"
! "$TOOL" assemble -r theirs/rec.1 theirs/rec.2 theirs/rec.3 2>/dev/null ||
	rig_fail "a member that is not recovered stands for its copy"
"$TOOL" assemble $(members theirs mid) -- wait >/dev/null 2>>log || rig_fail "mid does not go on"
"$TOOL" assemble $(members theirs rec) -- wait >/dev/null 2>>log || rig_fail "rec does not go on"
"$TOOL" assemble theirs/gone.0 theirs/gone.2 -- add theirs/gone.1 wait >/dev/null 2>readd || rig_fail "gone does not come back"
grep -q 'only what changed' readd || rig_fail "gone: $(cat readd)"

# And what tenon leaves, md goes on with.
for name in mid rec gone; do
	make_disks ours $name
	options=(-l 10 -L "$(case_of $name | awk '{ print $3 }')" -k 64K)
	[ $name = gone ] && options+=(-b 64K) || options+=(-B)
	dd if=/dev/urandom of=ours/$name.1 bs=1M count=8 conv=notrunc status=none
	case $name in
	mid) "$TOOL" create $name "${options[@]}" $(members ours $name) -- rate 2M write 0 1M 4 until 30 ;;
	rec) "$TOOL" create $name "${options[@]}" ours/rec.0 missing ours/rec.2 ours/rec.3 -- wait fill known rate 2M add ours/rec.1 until 40 ;;
	gone) "$TOOL" create $name "${options[@]}" $(members ours $name) -- wait fill known write 0 1M 5 flush crash ;;
	esac >/dev/null 2>>log || [ $name = gone ] || { cat log; rig_fail "$name cannot be made"; }
	echo "$name whole $(read_of $(members ours $name))" >>left.digests
done
mdadm --examine ours/mid.0 | grep -q 'State : active' || rig_fail "mid is not in the middle of its resync"
mdadm --examine ours/rec.1 >rec.ours; grep -q "Recovery Offset : [1-9]" rec.ours || { cat rec.ours; rig_fail "ours: rec is not in the middle of its recovery"; }
mdadm --examine ours/gone.0 | grep -q 'State : active' || rig_fail "gone is not dirty"
for dir in theirs ours; do
	in_guest $dir 'mid rec gone' <<'GUEST' || rig_fail "md does not go on"
		mdadm --assemble --run /dev/md0 "$@" 2>&1
		idle
		echo check >$md/sync_action; idle
		echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches
		note whole; stop
GUEST
	[ "$(grep -c ' 0 0$' "$(rig_results $dir.guest)/mismatches")" = 3 ] ||
		{ cat "$(rig_results $dir.guest)/mismatches"; rig_fail "md finds that copies differ, of what $dir left"; }
	while read -r name _ sum; do
		case $dir in
		ours) expected=$(sed -n "s/^$name whole //p" left.digests) ;;
		*) expected=$(sed -n "s/^$name whole //p" interrupted.digests) ;;
		esac
		same "$name, gone on with by md, of $dir" "$sum" "$expected"
	done <"$(rig_results $dir.guest)/digests"
done
[ $failed = 0 ] || rig_fail "see above"
echo "12 arrays judged by md, $(grep -vc ' -$' theirs.digests) of md's read, 6 rebuilt and given back; 6 gone on with"
