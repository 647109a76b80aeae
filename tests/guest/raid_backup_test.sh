#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Reshapes in place, both ways: what mdadm began with a --backup-file, or with a backup on the new disk, and a power cut left in the middle, tenon
# carries on with that; and mdadm carries on what tenon began and left, killed or stopped. With superblocks 1.0 that leave no room, and 0.90.
# timeout: 300
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
rig_known_data known 24
digest_of() { head -c 8M | md5sum | cut -d ' ' -f 1; }
known=$(digest_of <known)
failed=0
same() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; failed=1; }; }

# NAME METADATA LEVEL MEMBERS ALL WHAT VALUE
CASES='fewer90 0.90 5 4 4 devices 3
more90 0.90 5 3 4 devices 4
layout90 0.90 5 3 3 layout parity-first
chunk10 1.0 5 4 4 chunk 16K'
disks_of() { local i; for i in $(seq 0 $(($3 - 1))); do echo "$1/$2.$i"; done; }
mkdir theirs kept
cp known kept
while read -r name _ _ _ all _; do
	size=8256K
	case $name in layout90 | chunk10) size=24640K ;; esac # so that they are in the middle for long
	truncate -s $size $(disks_of theirs $name $all)
done <<<"$CASES"

# User Mode Linux boots again where it is told to halt.
guest() {
	local dir=theirs commands number=0 name metadata level count all what value disk disks=()
	commands=$(cat)
	{
		cat <<GUEST
		set -e
		mkdir -p /host
		mount -t hostfs none /host -o $WORK/kept
		[ "$1" = ours ] || [ ! -e /host/cut ] || exit 0
		echo 4000000 >/proc/sys/dev/raid/speed_limit_max
		md=/sys/block/md0/md
		idle() { until [ "\$(cat \$md/sync_action)" = idle ] && [ "\$(cat \$md/reshape_position)" = none ]; do sleep 0.05; done; }
		known=/host/known
GUEST
		while read -r name metadata level count all what value; do
			printf 'name=%s metadata=%s level=%s count=%s what=%s value=%s\nset --' $name $metadata $level $count $what $value
			for disk in $(disks_of "$dir" "$name" "$all"); do
				printf ' $DISK%d' $number
				disks+=(--disk "$disk")
				number=$((number + 1))
			done
			printf '\n%s\n' "$commands"
		done <<<"$CASES"
		[ $1 = ours ] || printf 'echo 500 >/proc/sys/dev/raid/speed_limit_max; eval "true $grow"; sleep 1; : >/host/cut; halt -f\n'
	} >script
	rig_boot uml --name "$dir.guest" "${disks[@]}" --with mdadm --modules "raid456" --memory 384M --script script
}

# All at once, until the power goes in the middle of them.
guest theirs <<'GUEST' >boot.theirs 2>&1 || :
	members= new= n=0
	for disk; do
		[ $n -lt $count ] && members="$members $disk" || new=$disk
		n=$((n + 1))
	done
	number=${number:-0}
	dev=/dev/md$number
	yes | mdadm --create $dev --run --metadata=$metadata --level=$level --chunk=64K --bitmap=none --raid-devices=$count $members 2>&1
	until [ "$(cat /sys/block/md$number/md/sync_action)" = idle ]; do sleep 0.05; done
	dd if=$known of=$dev bs=1M count=16 conv=fsync 2>/dev/null || :
	[ -z "$new" ] || mdadm $dev --add $new 2>&1
	case $name in
	more90) grow="$grow; mdadm --grow $dev --raid-devices=$value" ;;
	fewer90) echo 16384 >/sys/block/md$number/md/array_size; grow="$grow; mdadm --grow $dev --raid-devices=$value --backup-file=/host/$name.theirs" ;;
	*) grow="$grow; mdadm --grow $dev --$what=$value --backup-file=/host/$name.theirs" ;;
	esac
	number=$((number + 1))
GUEST
[ -e kept/cut ] || { tail -n 40 boot.theirs; rig_fail "md cannot begin them"; }

file_of() { [ ! -e "kept/$1.theirs" ] || echo "-b kept/$1.theirs"; }
# Now and then md has moved data before mdadm made a backup of them, which has them in the wrong order then: nobody can tell them any more.
number_at() { od -A n -t u8 -j $2 -N 8 "$1" | tr -d ' '; }
is_sound() {
	local start count
	[ -s kept/$1.theirs ] || return 0
	start=$(number_at kept/$1.theirs 48)
	count=$(number_at kept/$1.theirs 56)
	cmp -s -n $((count * 512)) -i 4096:$((start * 512)) kept/$1.theirs known
}
middle=0 lost=0
while read -r name _ _ _ all what value; do
	mapfile -t disks < <(disks_of theirs $name $all)
	mdadm --examine "${disks[0]}" >examined
	! grep -q "Reshape pos'n" examined || middle=$((middle + 1))
	file=$(file_of $name)
	if [ $name = layout90 ] && [ -n "$file" ]; then
		"$TOOL" assemble -r "${disks[@]}" -- cat >/dev/null 2>refused && rig_fail "$name starts without its backup"
		grep -q 'takes the backup file' refused || { cat refused; rig_fail "another reason"; }
	fi
	if ! is_sound $name; then
		lost=$((lost + 1))
		"$TOOL" assemble $file "${disks[@]}" -- wait fill known 2>>log || rig_fail "$name does not go on"
		file=
	fi
	same "$name, as it was left" "$("$TOOL" assemble -r $file "${disks[@]}" -- cat 2>>log | digest_of)" $known
	same "$name without one" "$("$TOOL" assemble -r $file "${disks[@]:0:1}" "${disks[@]:2}" -- cat 2>>log | digest_of)" $known
	"$TOOL" assemble $file "${disks[@]}" -- wait 2>>log || { tail -n 3 log; rig_fail "$name does not go on"; }
	same "$name in the end" "$("$TOOL" assemble -r "${disks[@]}" -- cat 2>>log | digest_of)" $known
	mdadm --examine "${disks[0]}" | grep -q "Reshape pos'n" && rig_fail "$name has not come to its end"

	# Now ours.
	truncate -s 8M kept/$name.ours
	case $name in
	chunk10) "$TOOL" assemble "${disks[@]}" -- rate 4M backup kept/$name.ours chunk 32K until 20 write 1M 300K 5 write 20M 300K 5 flush crash ;;
	layout90) "$TOOL" assemble "${disks[@]}" -- rate 4M backup kept/$name.ours layout left-asymmetric until 20 write 1M 300K 5 write 20M 300K 5 ;;
	more90) "$TOOL" assemble "${disks[@]}" -- rate 4M backup kept/$name.ours chunk 32K until 40 freeze sleep 100 write 1M 300K 5 write 20M 300K 5 flush crash ;;
	fewer90) "$TOOL" assemble "${disks[@]}" -- devices 4 crash ;;
	esac >>log 2>&1 || { tail -n 3 log; rig_fail "$name cannot begin"; }
	mdadm --examine "${disks[0]}" | grep -q "Reshape pos'n" || rig_fail "$name of ours is not in the middle of it"
	file="-b kept/$name.ours"
	[ $name != fewer90 ] || file=
	echo "$name $("$TOOL" assemble -r $file "${disks[@]}" -- cat 2>>log | digest_of)" >>expected
done <<<"$CASES"
[ $((middle - lost)) -gt 0 ] || rig_fail "md had ended them before"

guest ours <<'GUEST' >boot.ours 2>&1 || { tail -n 60 boot.ours; rig_fail "md does not take them"; }
	file=--backup-file=/host/$name.ours
	[ $name != fewer90 ] || file=
	mdadm --assemble --run $file /dev/md0 "$@" 2>&1
	cat $md/reshape_position $md/sync_action
	idle
	echo check >$md/sync_action
	until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done
	echo "$name $(head -c 8388608 /dev/md0 | md5sum | cut -d " " -f 1)" >>/result/digests
	echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded) $(cat $md/level) $(cat $md/layout) $(cat $md/raid_disks) $(cat $md/chunk_size)" >>/result/shapes
	mdadm --stop /dev/md0 2>&1
GUEST
diff expected "$(rig_results theirs.guest)/digests" || failed=1
diff - "$(rig_results theirs.guest)/shapes" <<'END' || failed=1
fewer90 0 0 raid5 2 4 65536
more90 0 0 raid5 2 4 32768
layout90 0 0 raid5 0 3 65536
chunk10 0 0 raid5 2 4 32768
END
[ $failed = 0 ] || rig_fail "see above"
echo "4 reshapes of md's carried on, $middle of them left in the middle ($lost past help), and 4 of tenon's by md"
