#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# How machines of our own monitor end, with the unmodified Debian kernel under KVM: a panic that the guest tells
# by pvpanic, a reboot, a power-off; a read-only disk; the least memory that a kernel is let start with, in
# which it must get to speak; a server of disks that is stopped; and, where it is installed, memtest86+. Rigs as in vmm_boot_test.sh.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin

cat >"$WORK/nested-script" <<'NESTED'
case $(cat /proc/cmdline) in
*end=panic*)
	echo "panics now"
	echo c >/proc/sysrq-trigger
	sleep 60
	;;
*end=reboot*) reboot -f ;;
*end=never*)
	dd if=/dev/vda of=/dev/null bs=64k count=1 2>/dev/null && echo "has read"
	sleep 1000
	;;
esac
echo "read-only: $(cat /sys/block/vda/ro)"
head -c 9 /dev/vda
dd if=/dev/zero of=/dev/vda bs=512 count=1 2>/dev/null && echo "but was written"
poweroff -f
NESTED

cat >"$WORK/around" <<'AROUND'
set -e
cd "$1"
await() {
	end=$(($(date +%s) + 1300)) # a little before the rig ends
	until "$@" 2>/dev/null; do
		[ $(date +%s) -lt $end ] || { echo "waited in vain for: $*"; tail -n 20 *.log console*; exit 1; }
		sleep 0.2
	done
}
# run STATUS CMDLINE OPTION...
run() {
	wanted=$1 cmdline=$2 status=0
	shift 2
	tenon vm run --kernel vmlinuz --initrd initrd --cmdline "console=ttyS0 quiet rdinit=/init $cmdline" "$@" \
		</dev/null 2>vm.log || status=$?
	[ $status = $wanted ] || { echo "exit status $status, expected $wanted ($cmdline)"; tail -n 20 vm.log console*; exit 1; }
}
run 4 'end=panic panic=0' --console console-panic
grep -q 'Kernel panic - not syncing: sysrq triggered crash' console-panic
grep -q 'kernel panicked' vm.log
run 3 'end=reboot' --on-reboot exit --console console-reboot
grep -q 'the guest rebooted' vm.log

run 0 'end=off' --disk read-only.img,ro --console console-off
grep -q 'read-only: 1' console-off
grep -q unchanged console-off
! grep -q 'but was written' console-off

status=0
tenon vm run --kernel vmlinuz --initrd initrd --memory 64M </dev/null >vm.log 2>&1 || status=$?
least=$(sed -n 's/.*at least --memory \([0-9]*M\).*/\1/p' vm.log)
[ $status = 1 ] && [ -n "$least" ] || { cat vm.log; exit 1; }
echo "the kernel wants $least"
tenon vm run --kernel vmlinuz --initrd initrd --memory "$least" --cmdline "earlycon=uart8250,io,0x3f8 panic=-1" \
	--on-reboot exit --console console-least </dev/null 2>vm.log &
vm=$!
await grep -q 'Linux version' console-least
kill $vm 2>/dev/null && kill $vm 2>/dev/null
wait $vm || :

# The server of two disks is stopped: the machine ends all the same, soon, and says whom it waited for.
truncate -s 32M pv.img
export TENON_DEVICES=$PWD/pv.img
tenon vg create vg pv.img
tenon lv create vg/a --size 8M
tenon lv create vg/b --size 8M
mkdir sockets
tenon serve vg --socket-dir sockets >serve.log 2>&1 &
server=$!
await grep -q ^ready serve.log
tenon vm run --kernel vmlinuz --initrd initrd --cmdline "console=ttyS0 quiet rdinit=/init end=never" --console console-never \
	--disk vhost-user:sockets/vg-a.sock --disk vhost-user:sockets/vg-b.sock </dev/null 2>vm.log &
vm=$!
await grep -q 'has read' console-never
kill -STOP $server
# All its threads: one of them takes the signal first.
stopped() { ! grep -h "^State:" /proc/$server/task/*/status | grep -qv "T ("; }
await stopped
kill $vm
sleep 1
kill $vm
status=0
wait $vm || status=$?
kill -CONT $server
[ $status = 5 ] || { echo "a stopped server: $status"; cat vm.log; exit 1; }
# For how long it waited it says itself: by the clock it is as late as this processor is.
waited=$(sed -n 's/.*vg-a.sock: the back-end did not stop within \([0-9]*\) ms.*/\1/p' vm.log)
[ -n "$waited" ] && [ "$waited" -le 5000 ] || { echo "a stopped server is waited for: $waited ms"; cat vm.log; exit 1; }
echo "a stopped server holds nobody"
kill $server
wait $server

if [ -e memtest ]; then
	tenon vm run --kernel memtest --memory 64M --cmdline console=ttyS0,115200 --console console-memtest </dev/null 2>vm.log &
	vm=$!
	await grep -q 'Memtest86+' console-memtest
	kill $vm; kill $vm
	wait $vm || status=$?
	[ $status = 5 ] || { echo "memtest86+ ended with $status"; exit 1; }
	echo "memtest86+ runs"
fi
AROUND

mkdir "$WORK/set"
echo unchanged >"$WORK/set/read-only.img"
truncate -s 1M "$WORK/set/read-only.img"
cp "$(rig_kernel tcg)" "$WORK/set/vmlinuz"
for memtest in /boot/memtest86+x64.bin /boot/mt86+x64; do
	[ ! -e "$memtest" ] || cp "$memtest" "$WORK/set/memtest"
done
rig_initrd tcg "$WORK/set/initrd" --modules pvpanic-mmio --script nested-script

if [ "${RIG_NESTED-}" != yes ] && [ "$(id -u)" = 0 ] && rig_kvm_usable; then
	echo "under this host's KVM"
	PATH=$(dirname "$TENON"):$PATH timeout 800 sh "$WORK/around" "$WORK/set"
else
	echo "in a guest with emulated SVM"
	rig_boot svm --memory 1200M --with tenon --file set --file around \
		--run 'sh around /root/set' || exit 1
	[ -e "$WORK/set/memtest" ] || echo "memtest86+ is not installed, and was left out"
	sed -n 's/\r$//; /the kernel wants/p; /memtest86+ runs/p' "$(rig_console)"
fi
echo "panic, reboot, power-off, read-only disk, least memory, stopped server: as they should be"
