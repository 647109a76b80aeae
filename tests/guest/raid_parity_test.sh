#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Levels 4, 5 and 6, both ways. What tenon makes and fills, the real md assembles, finds sound, and reads the same, also
# without one member, or two. What md makes and fills, tenon reads whole and degraded, and fills new members of, which md
# then accepts. Of a guest that is killed while it writes, tenon makes parity anew, and md finds it sound.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/raid_tool
[ -x "$TOOL" ] || rig_skip "raid_tool is not built"
cd "$WORK"
rig_known_data known 128

# LEVEL:LAYOUT:CHUNK:VERSION:MEMBERS, in groups of so few that User Mode Linux has disks for them.
groups='4:-:64:1.2:3,5:left-symmetric:64:1.2:4,6:left-symmetric:16:1.0:5 5:right-asymmetric:4:1.1:3,6:ddf-zero-restart:64:1.2:5,6:left-symmetric-6:128:1.2:4'
if [ -n "${TORTURE-}" ]; then
	groups+=' 5:left-asymmetric:512:1.2:5,5:right-symmetric:8:1.2:4,5:parity-first:64:1.2:5 5:parity-last:64:1.0:3,5:left-symmetric:64:1.2:2,6:left-asymmetric:32:1.2:4'
	groups+=' 6:right-asymmetric:64:1.2:5,6:right-symmetric:64:1.2:4,6:parity-first:64:1.2:5 6:parity-last:64:1.2:4,6:ddf-N-restart:64:1.2:5,6:ddf-N-continue:64:1.2:5'
	groups+=' 6:left-asymmetric-6:64:1.2:5,6:right-asymmetric-6:64:1.2:4,6:right-symmetric-6:64:1.2:5 6:parity-first-6:64:1.2:5'
fi
digest() { md5sum | cut -d ' ' -f 1; }
ours() { "$TOOL" assemble -r "$@" -- cat 2>>log | digest; }
same() { [ "$2" = "$3" ] || rig_fail "$1: $2, expected $3"; }

LIB='set -e
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	md=/sys/block/md0/md
	idle() { until [ "$(cat $md/sync_action)" = idle ]; do sleep 0.05; done; }
	note() { echo "$name $1 $(md5sum </dev/md0 | cut -d " " -f 1)" >>/result/digests; }
	stop() { mdadm --wait-clean /dev/md0 || :; mdadm --stop /dev/md0 2>&1; }
	check() { echo check >$md/sync_action; idle; echo "$name $(cat $md/mismatch_cnt) $(cat $md/degraded)" >>/result/mismatches; }
'
# GROUP DIR COMMANDS: runs them for each case of the group; they see $level $layout $chunk $version, and the disks as $@.
in_guest() {
	local group=$1 dir=$2 commands=$3 number=0 case level layout chunk version members i disks=()
	for case in ${group//,/ }; do
		IFS=: read -r level layout chunk version members <<<"$case"
		for ((i = 0; i < members; i++)); do disks+=(--disk "$dir/${case//:/_}.$i"); done
	done
	{
		echo "$LIB"
		for case in ${group//,/ }; do
			IFS=: read -r level layout chunk version members <<<"$case"
			echo "name=$case level=$level layout=$layout chunk=$chunk version=$version members=$members known=\$DISK$((${#disks[@]} / 2))"
			printf 'set --'
			for ((i = 0; i < members; i++, number++)); do printf ' $DISK%d' $number; done
			printf '\n%s\n' "$commands"
		done
	} >script
	rig_boot uml --name "$dir.guest" "${disks[@]}" --disk known:ro --with mdadm --with blockdev \
		--modules raid456 --script script
}
make_disks() {
	local dir=$1 case=$2 i
	mkdir -p "$dir"
	for ((i = 0; i < ${case##*:}; i++)); do rm -f "$dir/${case//:/_}.$i"; truncate -s 8M "$dir/${case//:/_}.$i"; done
}

for group in $groups; do
	# ---- tenon makes and fills, md judges ----
	for case in ${group//,/ }; do
		IFS=: read -r level layout chunk version members <<<"$case"
		make_disks ours "$case"
		dd if=/dev/urandom of="ours/${case//:/_}.1" bs=1M seek=1 count=6 conv=notrunc status=none
		option=(-L "$layout")
		[ "$layout" != - ] || option=()
		"$TOOL" create p -l "$level" "${option[@]}" -k "${chunk}K" -m "$version" -B "ours/${case//:/_}".? -- \
			wait fill known write 1M 12K 1 write 1300K 5K 2 write 2M 700K 3 wait >>log 2>&1 || { tail log; rig_fail "$case"; }
		echo "$case $(ours "ours/${case//:/_}".?)" >>ours.digests
		# Crashed while it was written to: md makes parity anew.
		"$TOOL" assemble "ours/${case//:/_}".? -- write 3M 20K 4 flush crash >>log 2>&1 || :
		echo "$case $(ours "ours/${case//:/_}".?)" >>crashed.digests
	done
	in_guest "$group" ours '
		mdadm --assemble --run /dev/md0 "$@" 2>&1
		idle; check; note whole; stop
		shift; mdadm --assemble --run /dev/md0 "$@" 2>&1; note one; stop
		if [ $level = 6 ]; then shift; mdadm --assemble --run /dev/md0 "$@" 2>&1; note two; stop; fi
	' || rig_fail "md does not take what tenon made"
	while read -r name what sum; do
		same "$name $what, as md reads it" "$sum" "$(sed -n "s/^$name //p" crashed.digests)"
	done <"$(rig_results ours.guest)/digests"
	[ "$(grep -c ' 0 0$' "$(rig_results ours.guest)/mismatches")" = "$(tr , '\n' <<<"$group" | wc -l)" ] ||
		{ cat "$(rig_results ours.guest)/mismatches"; rig_fail "md finds that parity differs"; }

	# ---- md makes and fills, tenon reads and fills new members ----
	for case in ${group//,/ }; do make_disks theirs "$case"; done
	in_guest "$group" theirs '
		[ $layout = - ] || set -- --layout=$layout "$@"
		mdadm --create /dev/md0 --run --level=$level --chunk=$chunk --metadata=$version --bitmap=none \
			--raid-devices=$members "$@" 2>&1
		idle
		dd if=$known of=/dev/md0 bs=1M conv=fsync count=$(($(blockdev --getsize64 /dev/md0) / 1048576)) 2>/dev/null
		idle; note whole; echo 3 >/proc/sys/vm/drop_caches; stop
	' || rig_fail "md cannot make them"
	while read -r case what sum; do
		disks=("theirs/${case//:/_}".?)
		same "$case, md's, whole" "$(ours "${disks[@]}")" "$sum"
		for ((i = 0; i < ${#disks[@]}; i++)); do
			rest=("${disks[@]:0:i}" "${disks[@]:i+1}")
			same "$case, md's, without $i" "$(ours "${rest[@]}")" "$sum"
			[ "${case%%:*}" != 6 ] || same "$case, md's, without $i and another" "$(ours "${rest[@]:1}")" "$sum"
		done
		# A new member, or two.
		lost=("${disks[0]}")
		[ "${case%%:*}" != 6 ] || lost+=("${disks[2]}")
		steps=()
		for disk in "${lost[@]}"; do steps+=(fail "$disk" remove "$disk"); done
		"$TOOL" assemble "${disks[@]}" -- "${steps[@]}" >>log 2>&1 || { tail log; rig_fail "$case: failing"; }
		steps=()
		for disk in "${lost[@]}"; do
			dd if=/dev/urandom of="$disk" bs=1M count=8 conv=notrunc status=none
			steps+=(add "$disk")
		done
		rest=()
		for disk in "${disks[@]}"; do [[ " ${lost[*]} " = *" $disk "* ]] || rest+=("$disk"); done
		"$TOOL" assemble "${rest[@]}" -- "${steps[@]}" wait >>log 2>&1 || { tail log; rig_fail "$case: filling"; }
		echo "$case $sum" >>theirs.digests
	done <"$(rig_results theirs.guest)/digests"
	in_guest "$group" theirs '
		mdadm --assemble --run /dev/md0 "$@" 2>&1
		idle; check; note whole; stop
	' || rig_fail "md does not take the members that tenon filled"
	while read -r name what sum; do
		same "$name with members that tenon filled" "$sum" "$(sed -n "s/^$name //p" theirs.digests)"
	done <"$(rig_results theirs.guest)/digests"
	[ "$(grep -c ' 0 0$' "$(rig_results theirs.guest)/mismatches")" = "$(tr , '\n' <<<"$group" | wc -l)" ] ||
		{ cat "$(rig_results theirs.guest)/mismatches"; rig_fail "md finds that parity differs in what tenon filled"; }
done

# ---- A guest is killed while it writes ----
for i in 0 1 2 3 4 5 6 7; do truncate -s 12M "killed$i"; done
rig_start uml --name killed $(for i in 0 1 2 3 4 5 6 7; do echo "--disk killed$i"; done) --with mdadm --modules raid456 --script - <<'GUEST'
	set -e
	mdadm --create /dev/md0 --run --level=5 --chunk=16 --bitmap=internal --bitmap-chunk=64 --assume-clean --raid-devices=3 $DISK0 $DISK1 $DISK2
	mdadm --create /dev/md1 --run --level=6 --chunk=64 --bitmap=none --assume-clean --raid-devices=5 $DISK3 $DISK4 $DISK5 $DISK6 $DISK7
	for md in /dev/md0 /dev/md1; do dd if=/dev/urandom of=$md bs=1M count=16; done
	i=0
	while :; do
		for md in /dev/md0 /dev/md1; do
			dd if=/dev/urandom of=$md bs=4096 count=9 seek=$((i * 37 % 4000)) oflag=direct conv=notrunc 2>/dev/null
		done
		i=$((i + 1))
		[ $i != 10 ] || echo enough
	done
GUEST
rig_await 100 grep -q enough "$(rig_console killed)"
rig_stop killed
"$TOOL" assemble -n killed0 killed1 -- status >refused 2>&1 && rig_fail "a dirty degraded array was started"
grep -q "not stopped cleanly" refused || { cat refused; rig_fail "it is not said why"; }
# Parity that no crash left: what is under a set bit of the bitmap is made anew, and all of it without one.
"$TOOL" assemble killed0 killed1 killed2 -- wait >>log 2>&1 || rig_fail "killed 5"
dd if=/dev/urandom of=killed5 bs=64K seek=90 count=4 conv=notrunc status=none
before=$("$TOOL" assemble -r killed3 killed4 killed5 killed6 killed7 -- cat 2>>log | digest)
"$TOOL" assemble killed3 killed4 killed5 killed6 killed7 -- wait >>log 2>&1 || rig_fail "killed 6"
same "what a resync leaves of the data" "$(ours killed3 killed4 killed5 killed6 killed7)" "$before"
rig_boot uml --name sound $(for i in 0 1 2 3 4 5 6 7; do echo "--disk killed$i"; done) --with mdadm --modules raid456 --script - <<GUEST
	$LIB
	name=killed
	for set in "\$DISK0 \$DISK1 \$DISK2" "\$DISK3 \$DISK4 \$DISK5 \$DISK6 \$DISK7"; do
		mdadm --assemble /dev/md0 \$set 2>&1
		cat \$md/resync_start >>/result/resync
		check; stop
	done
GUEST
[ "$(grep -c ' 0 0$' "$(rig_results sound)/mismatches")" = 2 ] || { cat "$(rig_results sound)/mismatches"; rig_fail "not sound"; }
[ "$(sort -u "$(rig_results sound)/resync")" = none ] || rig_fail "md thinks that a resync is due"
echo "levels 4, 5 and 6 both ways"
