#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Reshapes, both ways: what md left in the middle tenon reads, also without any one member, writes to, and carries on; what tenon left in the
# middle, killed or stopped, md carries on.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
rig_known_data known 24
digest_of() { md5sum | cut -d ' ' -f 1; }
# What the array had before: 24 MiB.
read_of() { "$TOOL" assemble -r "$@" -- cat 2>>log | head -c 24M | digest_of; }
failed=0
same() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; failed=1; }; }

# NAME LEVEL MEMBERS ALL WHAT VALUE: of the disks, all in the end.
FIRST='more5 5 3 4 devices 4
more6 6 4 5 devices 5
chunk5 5 3 3 chunk 128K'
# The first two go downwards: with fewer members, and where there is room behind the data only. In the third the new member is filled on the way.
SECOND='fewer5 5 4 4 fewer 3
down5 5 3 3 chunk 128K
up56 5 3 4 level6 left-symmetric'
# Both ways again. The last is ours in the other direction: md, where it begins with a reshape to offset copies (and not where it goes on with
# one), writes them to where the old layout had them, and loses data.
THIRD='more10 10 4 5 devices 5
fewer10 10 5 5 fewer 4
layout10 10 4 4 layout n2'
disks_of() { local i; for i in $(seq 0 $(($3 - 1))); do echo "$1/$2.$i"; done; }

guest() {
	local dir=$1 commands number=0 name level count all what value disk disks=()
	commands=$(cat)
	{
		cat <<'GUEST'
		set -e
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { until [ "$(cat $md/sync_action)" = idle ] && [ "$(cat $md/reshape_position)" = none ]; do sleep 0.05; done; }
		stop() { mdadm --wait-clean /dev/md0 || :; mdadm --stop /dev/md0 2>&1; }
		note() { echo "$name $(head -c 25165824 /dev/md0 | md5sum | cut -d " " -f 1)" >>/result/digests; }
		for disk in $DISKS; do known=$disk; done
GUEST
		while read -r name level count all what value; do
			printf 'name=%s level=%s count=%s what=%s value=%s\nset --' "$name" "$level" "$count" "$what" "$value"
			for disk in $(disks_of "$dir" "$name" "$all"); do
				printf ' $DISK%d' $number
				disks+=(--disk "$disk")
				number=$((number + 1))
			done
			printf '\n%s\n' "$commands"
		done <<<"$CASES"
	} >script
	rig_boot uml --name "$dir.guest" "${disks[@]}" --disk known:ro --with mdadm --modules "raid456 raid10" --memory 384M --script script
}

# SHAPES: what md calls them in the end.
campaign() {
	local CASES=$1 shapes=$2 theirs=theirs.$3 ours=ours.$3
	mkdir $theirs $ours
	while read -r name _ _ all _; do truncate -s 16M $(disks_of $theirs $name $all) $(disks_of $ours $name $all); done <<<"$CASES"
	guest $theirs <<'GUEST' || rig_fail "md cannot make them"
		members= new= n=0
		for disk; do
			[ $n -lt $count ] && members="$members $disk" || new=$disk
			n=$((n + 1))
		done
		case $name in
		down5) size="--size=12M --data-offset=512" ;;
		layout10) size=--layout=o2 ;;
		*) size= ;;
		esac
		yes | mdadm --create /dev/md0 --run --name=$name --level=$level --chunk=64K --bitmap=none $size --raid-devices=$count $members 2>&1
		until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
		[ $what != fewer ] || mdadm --grow /dev/md0 --size=12M 2>&1
		dd if=$known of=/dev/md0 bs=1M conv=fsync 2>/dev/null || :
		[ -z "$new" ] || mdadm /dev/md0 --add $new 2>&1
		case $what in
		devices) how=--raid-devices=$value ;;
		fewer) how= ;;
		level6) how="--level=6 --layout=$value --raid-devices=4" ;;
		*) how=--$what=$value ;;
		esac
		# It is held there, in sectors of a member, but of the array at level 10, which notes how far it came when it has to.
		[ $level = 10 ] && echo 16384 >$md/sync_max || echo 2048 >$md/sync_max
		if [ -n "$how" ]; then
			mdadm --grow /dev/md0 $how 2>&1
		else
			# mdadm asks it before it goes downwards, and md says no.
			echo 24576 >$md/array_size
			echo $value >$md/raid_disks
			for member in $md/dev-*; do echo $(($(cat $member/offset) + 128)) >$member/new_offset; done
			echo reshape >$md/sync_action
		fi
		case $name in
		fewer* | down5) moved="-lt 49000" ;;
		*) moved="-gt 2000" ;;
		esac
		n=0
		until [ "$(cat $md/reshape_position)" != none ] && [ "$(cat $md/reshape_position)" $moved ]; do
			sleep 0.05
			n=$((n + 1))
			[ $n -lt 200 ] || { grep . $md/reshape_position $md/sync_* $md/level $md/raid_disks; exit 1; }
		done
		# It is held once all before that has been moved; at level 10 md does not say how far it is.
		if [ $level = 10 ]; then
			sleep 0.5
		else
			until [ "$(sed 's/ .*//' $md/sync_completed)" = 2048 ]; do
				sleep 0.05
				n=$((n + 1))
				[ $n -lt 400 ] || { grep . $md/reshape_position $md/sync_*; exit 1; }
			done
		fi
		# Reads of what is held there would wait.
		stop
GUEST
	while read -r name _; do echo "$name $(head -c 24M known | digest_of)"; done <<<"$CASES" >$theirs.digests
	rm -f ended.digests
	sum_of() { sed -n "s/^$1 //p" "$2.digests"; }
	while read -r name level count all what value; do
		mapfile -t disks < <(disks_of $theirs $name $all)
		mdadm --examine "${disks[0]}" >examined
		grep -q "Reshape pos'n : [1-9]" examined || { cat examined; rig_fail "$name is not in the middle of it"; }
		python3 "$TOP/tests/interop/raid_examine.py" "$TENON" "${disks[@]}" >judged || { cat judged; rig_fail "$name: examine and mdadm differ"; }
		same "$name, which md left" "$(read_of "${disks[@]}")" "$(sum_of $name $theirs)"
		for i in "${!disks[@]}"; do
			same "$name without ${disks[i]}" "$(read_of "${disks[@]:0:i}" "${disks[@]:i+1}")" "$(sum_of $name $theirs)"
		done
		# Writes on both sides of the position, a crash, and on to the end.
		"$TOOL" assemble -n "${disks[@]}" -- write 64K 256K 9 write 20M 1M 9 flush crash 2>>log
		"$TOOL" assemble "${disks[@]}" -- verify 64K 256K 9 verify 20M 1M 9 wait verify 64K 256K 9 verify 20M 1M 9 >/dev/null 2>>log ||
			{ tail -3 log; rig_fail "$name does not go on"; }
		echo "$name $(read_of "${disks[@]}")" >>ended.digests

		mapfile -t disks < <(disks_of $ours $name $all)
		add=()
		[ "$count" = "$all" ] || add=(add "${disks[count]}")
		end=status
		[ $name = more6 ] || end=crash
		size=()
		case $name in
		fewer*) size=(-z 12M) ;;
		down5) size=(-m 1.0 -z 12M) ;;
		layout10) value=o2 ;;
		esac
		"$TOOL" create $name -l $level -k 64K -B "${size[@]}" "${disks[@]:0:count}" -- wait fill known rate 1M "${add[@]}" $what $value \
			until 30 write 64K 256K 7 write 20M 1M 7 flush $end >/dev/null 2>>log || { tail -3 log; rig_fail "$name cannot begin"; }
		mdadm --examine "${disks[0]}" >examined
		grep -q "Reshape pos'n : [1-9]" examined || { cat examined; rig_fail "$name of ours is not in the middle of it"; }
		echo "$name $(read_of "${disks[@]}")" >>$ours.digests
	done <<<"$CASES"
	cp ended.digests $theirs.digests

	for dir in $theirs $ours; do
		guest $dir <<'GUEST' || rig_fail "md does not take it"
			mdadm --assemble --run /dev/md0 "$@" 2>&1
			cat $md/reshape_position $md/sync_action
			idle
			echo check >$md/sync_action
			until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
			echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches
			echo "$name $(cat $md/level) $(cat $md/layout) $(cat $md/raid_disks) $(cat $md/chunk_size)" >>/result/shapes
			note; stop
GUEST
		[ "$(grep -c ' 0 0$' "$(rig_results $dir.guest)/mismatches")" = 3 ] ||
			{ cat "$(rig_results $dir.guest)/mismatches"; rig_fail "md finds that they differ, of what $dir left"; }
		[ $dir = $theirs ] || shapes=${shapes/layout10 raid10 258/layout10 raid10 66049}
		diff <(printf '%s\n' "$shapes") "$(rig_results $dir.guest)/shapes" || failed=1
		while read -r name sum; do same "$name, of $dir" "$sum" "$(sum_of $name $dir)"; done <"$(rig_results $dir.guest)/digests"
	done
}
campaign "$FIRST" 'more5 raid5 2 4 65536
more6 raid6 2 5 65536
chunk5 raid5 2 3 131072' first
campaign "$SECOND" 'fewer5 raid5 2 3 65536
down5 raid5 2 3 131072
up56 raid6 2 4 65536' second
campaign "$THIRD" 'more10 raid10 258 5 65536
fewer10 raid10 258 4 65536
layout10 raid10 258 4 65536' third
[ $failed = 0 ] || rig_fail "see above"
echo "9 reshapes of md's carried on, 9 of tenon's by md"
