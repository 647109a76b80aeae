#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The harness itself: each rig boots and brings back what its script left; failure, a hang and a dead
# kernel are told apart; two guests at once keep apart; no process stays behind.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin

expect() { [ "$2" = "$3" ] || rig_fail "$1: expected '$3', found '$2'"; }

# expect_status WHAT STATUS COMMAND...: what the command says is in $WORK/said.
expect_status() {
	local what=$1 wanted=$2 status=0
	shift 2
	"$@" >"$WORK/said" 2>&1 || status=$?
	expect "$what" $status $wanted
}

head -c 1M /dev/urandom >"$WORK/d0.img"
truncate -s 8M "$WORK/d1.img"
echo 'from the host' >"$WORK/note"

# Both general rigs: disks in order, a file brought in, an array made, files brought back.
for rig in uml tcg; do
	rig_boot $rig --name $rig --disk d0.img:ro --disk d1.img --with mdadm --file note:/etc/note --script - <<-'GUEST'
		set -e
		md5sum <$DISK0 >/result/md5
		cat /etc/note >/result/note
		! echo x 2>/dev/null >$DISK0
		echo "written by the guest" | dd of=$DISK1 conv=notrunc 2>/dev/null
		mdadm --create /dev/md0 --run --level=0 --force --raid-devices=1 --metadata=1.2 $DISK1
		mkdir /result/folder
		cat /proc/mdstat >/result/folder/mdstat
	GUEST
	expect "$rig: checksum" "$(rig_result md5 $rig)" "$(md5sum <"$WORK/d0.img")"
	expect "$rig: note" "$(rig_result note $rig)" "from the host"
	expect "$rig: disk" "$(head -n 1 "$WORK/d1.img")" "written by the guest"
	rig_result folder/mdstat | grep -q 'active raid0' || rig_fail "$rig: no array in mdstat"
	echo "$rig: $(grep -a 'rig: up after' "$(rig_console $rig)" | tr -d '\r')"
done

# Two at once, one of which fails; the other is not touched by that.
rig_start uml --name good --run 'sleep 1; echo good >/result/who'
rig_start uml --name bad --run 'echo bad >/result/who; echo about to fail; exit 3'
expect_status "failing script" 3 rig_wait bad
grep -q 'about to fail' "$WORK/said" || rig_fail "the console of a failed guest is not shown"
rig_wait good
expect "two guests" "$(rig_result who good) $(cat "$WORK/bad/result/who")" "good bad"

# On a busy host it is not there yet after the first.
for deadline in 6 30 90; do
	expect_status "hang" 124 rig_boot uml --name hang --deadline $deadline --run 'echo in the loop; while :; do sleep 1; done'
	! grep -q 'in the loop' "$WORK/said" || break
done
grep -q 'in the loop' "$WORK/said" || rig_fail "the console of a guest that hangs is not shown"
expect_status "panic" 125 rig_boot uml --name panic --run 'echo c >/proc/sysrq-trigger; poweroff -f'
expect_status "too much" 125 rig_boot uml --name much --result-size 1M --run 'head -c 2000000 /dev/zero >/result/x'

# What a kernel lacks is named, and is a reason to skip.
in_subshell() { ("$@"); }
expect_status "a module that is not there" 77 in_subshell rig_boot uml --modules "raid1 no_such_module" --run true
grep -q 'has no module no_such_module' "$WORK/said" || rig_fail "the missing module is not named: $(cat "$WORK/said")"

# /dev/shm as containers have it.
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	for options in noexec size=8M; do
		expect_status "/dev/shm with $options" 0 unshare -m bash -c '
			mount -t tmpfs -o "$2" none /dev/shm && . "$1/rig.sh" && rig_begin && rig_boot uml --run true' _ "$RIG_DIR" $options
	done
fi

# Stopping a guest by hand, and what is left of all of them: nothing.
rig_start tcg --name stopped --run 'sleep 1000'
rig_await 100 grep -aq 'rig: up' "$(rig_console stopped)"
rig_stop stopped
if pgrep -f "$WORK" >"$WORK/left"; then rig_fail "processes were left: $(cat "$WORK/left")"; fi

# Hardware virtualisation in a guest.
rig_boot svm --script - <<-'GUEST'
	[ -c /dev/kvm ] || { echo "there is no /dev/kvm"; exit 1; }
	grep -qw svm /proc/cpuinfo
GUEST
echo "svm: $(grep -a 'rig: up after' "$(rig_console)" | tr -d '\r')"

# Known data goes onto an array and comes back through the kernel, with a member missing as well.
rig_make_md r1 "8M 8M" 'mdadm --create /dev/md0 --run --level=1 --metadata=1.2 --name=r1 --raid-devices=2 $DISKS'
rig_judge both r1/d0.img r1/d1.img
expect "array read back" "$(cat "$WORK/both/LOGICAL")" "$(cat "$WORK/r1/LOGICAL")"
expect "mismatch_cnt" "$(cat "$WORK/both/mismatch_cnt")" 0
dd if=/dev/urandom of="$WORK/r1/d1.img" bs=4k seek=512 count=1 conv=notrunc 2>/dev/null
rig_judge damaged r1/d0.img r1/d1.img
[ "$(cat "$WORK/damaged/mismatch_cnt")" -gt 0 ] || rig_fail "a damaged mirror was not noticed"
rig_judge one r1/d0.img
expect "array with one member" "$(cat "$WORK/one/LOGICAL")" "$(cat "$WORK/r1/LOGICAL")"
rig_make_lvm v "16M" 'vgcreate -s 1m vg0 $DISKS; lvcreate -y -L 4m -n a vg0; lvcreate -y -L 4m -n b vg0'
rig_judge volumes v/d0.img
expect "volumes read back" "$(cat "$WORK/volumes/LOGICAL")" "$(cat "$WORK/v/LOGICAL")"
