#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Power that goes while RAID volumes of all levels are written, and the other side as the judge. Ours: from our writes between flushes a cut
# keeps any subset; lvm2 and dm-raid activate what is left, bring it into line when they are told to, find no difference and have every flushed byte;
# with a PV missing, too, and raid6 with two. (That its bitmap has regions marked is not enough for dm-raid of 6.1, of its own images neither.) Theirs: dm-raid is stopped at a moment between two writes; tenon reads the same, without a PV where the
# level promises that, and brings it into line. SEED=N repeats one.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
helper=${HELPER:-$TOP/${BUILD:-build}/tests/helpers/volume_cut}
[ -x "$helper" ] || rig_skip "$helper is not built"
cd "$WORK"
modules="raid456 raid1 raid10 dm-raid"
count=18 moments=2
[ -z "${TORTURE:-}" ] || count=120 moments=12
seed=${SEED:-1}
mkdir cuts away
echo "$helper" >helper
"$helper" make cuts "$count" "$seed" || rig_fail "no cuts could be made"

# ---- Ours. Each group is judged in one of three ways: whole, with a PV missing, raid6 with two missing. Parity of rows that were being written is of
# no account without a member (the write hole): the other rows are looked at then.
cat >judge.sh <<'GUEST'
	helper=$(cat /root/helper)
	bad() { echo "$*" >>/result/bad; }
	row() { case $1 in four | five) echo 8 ;; six) echo 12 ;; *) echo 0 ;; esac; }
	look() { "$helper" check /dev/$1/$2 /root/cuts/$1.$2 ${3:-} >>/result/bad || bad "$1/$2 $4"; }
	# pvs of group NUMBER, without those of places in the rest.
	attach() {
		number=$1; shift
		for i in 0 1 2 3 4; do
			case " $* " in *" $i "*) continue ;; esac
			eval "disk=\$DISK$i"
			dmsetup create cut$i --table "0 16384 linear $disk $(((number + 1) * 16384))"
		done
	}
	detach() { vgchange -an g$1 >/dev/null 2>&1 || bad "g$1 stays active"; dmsetup ls | sed -n 's/^\(cut[0-9]*\).*/\1/p' | while read -r name; do dmsetup remove $name; done; }
	# Of group NUMBER: synchronized, and no thread at work, for a while: one that was just activated may not have begun yet, and a check that overtakes
	# a resync finds what that would have mended.
	quiet() {
		tries=0 still=0
		while [ $still -lt 8 ]; do
			still=$((still + 1)) tries=$((tries + 1))
			lvs --noheadings -o sync_percent,raid_sync_action g$1 | grep -qv '100.00 *idle *$' && still=0
			[ $tries -lt 900 ] || { bad "g$1 does not come to rest"; return; }
			sleep 0.2
		done
	}
	n=0
	while [ $n -lt $(cat /root/count) ]; do
		names="one four five six ten"
		case $((n % 3)) in
		0) attach $n; vgchange -ay g$n >/dev/null || bad "g$n is not activated" ;;
		1) attach $n $((n / 3 % 5)); vgchange -ay --activationmode degraded g$n >/dev/null || bad "g$n is not activated without a PV" ;;
		2) attach $n $((n / 3 % 5)) $(((n / 3 + 1) % 5)); names=six; lvchange -ay --activationmode degraded g$n/six >/dev/null || bad "g$n/six is not activated without two PVs" ;;
		esac
		for name in $names; do
			if [ $((n % 3)) = 0 ]; then look g$n $name "" "is read otherwise"; else look g$n $name $(row $name) "is read otherwise without a PV"; fi
		done
		if [ $((n % 3)) = 0 ]; then
			quiet $n
			for action in repair check; do
				for name in $names; do lvchange --syncaction $action g$n/$name || bad "g$n/$name: no $action"; done
				quiet $n
			done
			for name in $names; do look g$n $name "" "is read otherwise when it was brought into line"; done
			lvs --noheadings --separator ' ' -o vg_name,lv_name,raid_mismatch_count,lv_health_status g$n | sed 's/^ *//; s/ *$//' | grep -v ' 0$' >>/result/bad
		fi
		detach $n
		echo $n >/result/judged
		n=$((n + 1))
	done
GUEST
echo "$count" >count
disks=()
for i in 0 1 2 3 4; do disks+=(--disk cuts/disk$i); done
mkdir expected
cp cuts/g* expected
rig_boot uml --deadline $((240 + 10 * count)) --name judge "${disks[@]}" --with lvm2 --with dmsetup --with "$helper" --modules "$modules" \
	--file expected:/root/cuts --file count --file helper --script judge.sh
result=$(rig_results judge)
[ "$(cat "$result/judged")" = $((count - 1)) ] || rig_fail "only $(cat "$result/judged") were judged"
[ ! -s "$result/bad" ] || { head -20 "$result/bad"; rig_fail "of $count cuts of ours"; }
echo "$count groups of ours judged by dm-raid, seed $seed"

# ---- Theirs. All threads of the guest's kernel stand still, and its disks are what they are; it does not go on (that is not for User Mode Linux).
cat >writes.sh <<'GUEST'
	set -e
	helper=$(cat /root/helper)
	journal=$DISK5
	vgcreate -s 128k theirs $DISK0 $DISK1 $DISK2 $DISK3 $DISK4
	lvcreate -y --type raid1 -m 1 -l 4 -R 16k -n one theirs
	lvcreate -y --type raid4 -i 2 -I 16k -l 4 -R 16k -n four theirs
	lvcreate -y --type raid5 -i 2 -I 16k -l 4 -R 16k -n five theirs
	lvcreate -y --type raid6 -i 3 -I 16k -l 6 -R 16k -n six theirs
	lvcreate -y --type raid10 -i 2 -m 1 -I 16k -l 4 -R 16k -n ten theirs
	until ! lvs --noheadings -o sync_percent theirs | grep -qv '100.00'; do sleep 0.1; done
	n=0
	for name in one four five six ten; do
		"$helper" write /dev/theirs/$name $journal $n &
		n=$((n + 1))
	done
	wait
GUEST
written() {
	local n
	for n in 0 1 2 3 4; do "$helper" journal cut$moment/journal $n 1 >/dev/null || return 1; done
}
RANDOM=$seed
for ((moment = 0; moment < moments; moment++)); do
	mkdir cut$moment
	disks=()
	for i in 0 1 2 3 4; do truncate -s 12M cut$moment/t$i; disks+=(--disk cut$moment/t$i); done
	truncate -s 64K cut$moment/journal
	rig_start uml --name writes "${disks[@]}" --disk cut$moment/journal --with lvm2 --with "$helper" --modules "$modules" --file helper --script writes.sh
	rig_await 200 written || rig_fail "dm-raid writes nothing: $(tail -3 "$(rig_console writes)")"
	sleep 0.$((100 + RANDOM % 900))
	kill -STOP -- "-$(cat writes/uml/pid)"
	rig_stop writes
done
# theirs VOLUME TEXT: what tenon reads is what was flushed.
theirs() {
	"$TENON" copy theirs/$1 out --force >log 2>&1 || { cat log; rig_fail "$1 is not read $2"; }
	"$helper" check out model.$1 || rig_fail "$1 is read otherwise $2"
}
for ((moment = 0; moment < moments; moment++)); do
	export TENON_DEVICES=$WORK/cut$moment/t?
	n=0
	for name in one four five six ten; do
		"$helper" journal cut$moment/journal $n $([ $name = six ] && echo 192 || echo 128) >model.$name
		n=$((n + 1))
		theirs $name "as dm-raid left it"
	done
	mv cut$moment/t$((moment % 5)) away
	for name in one ten; do theirs $name "without a PV"; done
	mv away/t? cut$moment
	for name in one four five six ten; do
		"$TENON" lv repair theirs/$name >log 2>&1 || { cat log; rig_fail "$name is not brought into line"; }
		theirs $name "brought into line"
		"$TENON" lv scrub theirs/$name >log 2>&1 || { cat log; rig_fail "$name has differences"; }
	done
done
echo "$moments moments of dm-raid's judged by us"
