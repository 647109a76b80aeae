#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Our own monitor boots the unmodified Debian kernel under KVM: two processors, a disk, a NIC on our switch,
# a restart, a back-end that hangs up and comes back, the power button. Where this host's KVM runs Linux at speed, here;
# else in a guest of QEMU's whose processor has (emulated) SVM.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs >/dev/null || rig_skip "mke2fs (e2fsprogs) is not installed"

# What the nested guest does, once for each boot. The first ends with a restart, the second with the button.
cat >"$WORK/nested-script" <<'NESTED'
set -e
mount -t ext4 $DISK0 /mnt
boots=$(($(cat /mnt/boots) + 1))
echo $boots >/mnt/boots
md5sum </mnt/data >/mnt/md5-$boots
umount /mnt
echo "boot $boots, $(nproc) processors"
[ $boots -gt 1 ] || reboot -f
nproc >/result/nproc
grep -E 'virtio|ttyS0' /proc/interrupts >/result/interrupts || :
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
[ "$(cat /sys/class/net/eth0/speed) $(cat /sys/class/net/eth0/duplex)" = "10000 full" ]
ping -c 3 -w 60 10.9.0.1 >/result/ping
for event in /sys/class/input/event*; do
	! grep -q 'Power Button' $event/device/name || button=/dev/input/${event##*/}
done
echo "waits for $button"
head -c 1 $button >/result/button
echo "pressed"
NESTED

# What runs around it, here or in the outer guest: $1 is the folder with all that is needed.
cat >"$WORK/around" <<'AROUND'
set -e
cd "$1"
await() {
	end=$(($(date +%s) + 1300)) # a little before the rig ends
	until "$@" 2>/dev/null >&2; do
		[ $(date +%s) -lt $end ] || { echo "waited in vain for: $*"; cat console switch.log vm.log; exit 1; }
		sleep 0.2
	done
}
tenon switch run sw --socket-dir . --port vm=vhost-user --port host=tap:tap0 >switch.log 2>&1 &
switch=$!
await grep -q ready switch.log
await ip link set tap0 up
ip addr add 10.9.0.1/24 dev tap0
tenon vm run --kernel vmlinuz --initrd initrd --cpus 2 --cmdline 'console=ttyS0 quiet panic=-1 rdinit=/init' \
	--disk root.img --disk result.img --nic vhost-user:vm.sock --console console </dev/null 2>vm.log &
vm=$!
await grep -q 'waits for /dev/input' console
kill $switch
await grep -q 'hung up' vm.log
tenon switch run sw --socket-dir . --port vm=vhost-user --port host=tap:tap0 >switch.log 2>&1 &
switch=$!
await grep -q 'the back-end is back' vm.log
await ip link set tap0 up
ip addr add 10.9.0.1/24 dev tap0
await busybox ping -c 1 -w 2 10.9.0.2
echo "the guest answers behind another switch"
kill $switch
kill -TERM $vm
status=0
wait $vm || status=$?
echo "exit status $status"
cat console vm.log
[ $status = 0 ]
AROUND

mkdir -p "$WORK/root" "$WORK/set"
echo 0 >"$WORK/root/boots"
head -c 3M /dev/urandom >"$WORK/root/data"
truncate -s 16M "$WORK/set/root.img"
mke2fs -q -t ext4 -d "$WORK/root" "$WORK/set/root.img"
truncate -s 4M "$WORK/set/result.img"
cp "$(rig_kernel tcg)" "$WORK/set/vmlinuz"
rig_initrd tcg "$WORK/set/initrd" --disk root.img --modules "button evdev" --script nested-script

if [ "${RIG_NESTED-}" != yes ] && [ "$(id -u)" = 0 ] && rig_kvm_usable; then
	echo "under this host's KVM"
	PATH=$(dirname "$TENON"):$PATH timeout 800 unshare -n sh "$WORK/around" "$WORK/set"
	cp "$WORK/set/root.img" "$WORK/set/result.img" "$WORK/"
else
	echo "in a guest with emulated SVM"
	rig_boot svm --memory 1200M --with tenon --modules tun --file set --file around \
		--script - <<-'GUEST'
		sh around /root/set || exit 1
		cp set/root.img set/result.img /result/
	GUEST
	cp "$(rig_results)"/*.img "$WORK/"
fi

mkdir "$WORK/out"
tar -x -f "$WORK/result.img" -C "$WORK/out" 2>/dev/null || :
[ "$(cat "$WORK/out/status")" = 0 ] || rig_fail "the nested script failed"
[ "$(cat "$WORK/out/result/nproc")" = 2 ] || rig_fail "the nested guest has not two processors"
[ -s "$WORK/out/result/button" ] || rig_fail "no event of the power button"
grep -q ' 0% packet loss' "$WORK/out/result/ping" || rig_fail "frames were lost"
grep -q 'PCI-MSI.*virtio' "$WORK/out/result/interrupts" || rig_fail "no MSI-X interrupts"
e2fsck -fn "$WORK/root.img" >/dev/null 2>&1 || rig_fail "the nested guest's file system is damaged"
dump() { debugfs -R "cat $1" "$WORK/root.img" 2>/dev/null; }
[ "$(dump boots)" = 2 ] || rig_fail "the nested guest booted $(dump boots) times, not twice"
for boot in 1 2; do
	[ "$(dump md5-$boot)" = "$(md5sum <"$WORK/root/data")" ] || rig_fail "boot $boot read wrong data"
done
echo "two boots, disk, NIC, power button, power-off: as they should be"
