#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon image build`: a guest that an ordinary user makes, in a file and in a volume, boots under QEMU to its shell,
# has its disk, hears its power button; kernels are found, named, and unpacked; what fails leaves nothing behind.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
for program in mke2fs debugfs e2fsck depmod; do
	PATH=$PATH:/usr/sbin command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
/bin/busybox --list 2>/dev/null | grep -qx acpid || { echo "busybox-static is not installed"; exit 77; }
kernel=
for file in $(printf '%s\n' /boot/vmlinuz-* | sort -V); do
	[ ! -r "$file" ] || [ ! -r "/lib/modules/${file#/boot/vmlinuz-}/modules.dep" ] || kernel=$file
done
[ -n "$kernel" ] || { echo "there is no kernel in /boot that can be read and has modules"; exit 77; }
version=${kernel#/boot/vmlinuz-}
work=$(mktemp -d) || exit 1
guest= server=
# shellcheck disable=SC2086 # lists
cleanup() { kill -9 $guest $server 2>/dev/null; wait; rm -rf "$work"; }
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none TENON_DEVICES=$work/pv.img TMPDIR=$work/tmp
mkdir tmp
PATH=/usr/local/bin:/usr/bin:/bin
failures=0
problem() { echo "FAILED line ${BASH_LINENO[1]}: $*"; failures=$((failures + 1)); }
expect() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 800 "$@" >said 2>&1
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $(cat said)"
	grep -Eq -- "$pattern" said || problem "'$*' said: $(cat said); expected: $pattern"
	[ -z "$(ls -A tmp)" ] || problem "'$*' left $(ls -A tmp)"
}
fsck() { /usr/sbin/e2fsck -fn "$1" >fsck 2>&1 || problem "$1: $(cat fsck)"; }

# ---- Made by whoever runs this, and by an ordinary user ----
# With room for it, its kernel is on it; without, beside it.
expect 0 "tenon vm run --kernel .*${version//+/.} --initrd root.initrd --disk root.img" "$TENON" image build busybox root.img --size 16M
expect 0 "tenon vm run --disk root.img" "$TENON" image build busybox root.img --force
PATH=$PATH:/usr/sbin debugfs -R "dump /boot/vmlinuz-$version on-disk" root.img 2>/dev/null && cmp on-disk "$kernel" || problem 'its kernel on the disk'
PATH=$PATH:/usr/sbin debugfs -R "dump /boot/initrd.img-$version on-disk" root.img 2>/dev/null && cmp on-disk root.initrd || problem 'its initial RAM disk on the disk'
PATH=$PATH:/usr/sbin debugfs -R "stat /boot/initrd.img-$version" root.img 2>/dev/null | grep -q 'User: *0 ' || problem 'its owner'
rm on-disk
fsck root.img
[ "$(stat -c %s root.img)" = $((128 << 20)) ] || problem "128M: $(stat -c %s root.img)"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 .
	mkdir -m 777 user
	cp "$TENON" user/tenon
	expect 0 'tenon vm run' setpriv --reuid 4712 --regid 4712 --clear-groups env TMPDIR="$work/user" HOME="$work/user" \
		user/tenon image build busybox user/root.img --size 32M --initrd user/ram
	[ "$(stat -c %u user/root.img user/ram | sort -u)" = 4712 ] || problem "the files are not the user's"
	fsck user/root.img
	cp user/root.img owned.img
else
	cp root.img owned.img
fi
# The guest's files are its root's.
for file in /bin/busybox /etc/rc /sbin/init /tmp /; do
	/usr/sbin/debugfs -R "stat $file" owned.img 2>/dev/null | grep -Eq '^User: +0 +Group: +0 ' ||
		problem "$file is not root's: $(/usr/sbin/debugfs -R "stat $file" owned.img 2>&1 | head -n 4)"
done

# ---- Wrong ----
expect 2 "there is no guest 'alpine'" "$TENON" image build alpine x.img
expect 2 'size' "$TENON" image build busybox x.img --size 1M
echo text >text
expect 1 'text: is no bzImage' "$TENON" image build busybox x.img --kernel text
expect 1 'none: No such file' "$TENON" image build busybox x.img --kernel none
expect 1 'modules.dep' "$TENON" image build busybox x.img --modules "$work/tmp"
cp "$kernel" k
expect 1 'x.img: the folder|No such file' "$TENON" image build busybox nowhere/else/x.img
expect 1 'root.img: holds an ext4 file system' "$TENON" image build busybox root.img
expect 0 'root.img: root file' "$TENON" image build busybox root.img --force
[ ! -e x.img ] && [ ! -e x.initrd ] || problem "what failed left files"
expect 0 "'a b.initrd' --disk 'a b.img'" "$TENON" image build busybox 'a b.img' --kernel k --size 16M
expect 0 "--disk 'a b.img'" "$TENON" image build busybox 'a b.img' --kernel k --force
rm 'a b.img' 'a b.initrd'

# ---- A kernel in a package ----
mkdir -p package/DEBIAN package/boot package/lib/modules
printf 'Package: linux-image-test\nVersion: 1\nArchitecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n' >package/DEBIAN/control
cp "$kernel" package/boot/
cp -r "/lib/modules/$version" package/lib/modules/
rm package/lib/modules/"$version"/modules.*dep*
if dpkg-deb -Znone -b package linux-image.deb >/dev/null 2>&1; then
	expect 0 'run --kernel p.kernel --initrd p.initrd' "$TENON" image build busybox p.img --kernel linux-image.deb --size 16M
	cmp -s p.kernel "$kernel" || problem "p.kernel is another kernel"
	cmp -s p.initrd root.initrd || problem "the initial RAM disk of the package differs"
	rm -f p.img p.initrd p.kernel
fi
rm -rf package linux-image.deb

# ---- Into a volume, also of a running server ----
truncate -s 256M pv.img
"$TENON" vg create vg0 pv.img && "$TENON" lv create vg0/root --size 64M && "$TENON" lv create vg0/small --size 8M || exit 1
expect 1 'vg0/small: has 8 MiB' "$TENON" image build busybox vg0/small
expect 1 'vg0/root: has 64 MiB' "$TENON" image build busybox vg0/root --size 128M
expect 0 'vhost-user:sockets/vg0-root.sock' "$TENON" image build busybox vg0/root --size 16M
expect 0 'vm run --disk vg0/root$' "$TENON" image build busybox vg0/root --force
"$TENON" copy vg0/root copy.img && fsck copy.img
# One that is not there is made, and is not left when that fails.
expect 1 'vg0/new: its group has free' "$TENON" image build busybox vg0/new --size 300M
expect 0 'vg0/new: would be made: a root file system of 20 MiB' "$TENON" image build busybox vg0/new --size 18M --dry-run
expect 1 'tmp: it is a directory' "$TENON" image build busybox vg0/new --size 18M --initrd "$work/tmp"
expect 1 'no volume' "$TENON" lv show vg0/new
expect 0 'vg0/new: root file system of 20 MiB' "$TENON" image build busybox vg0/new --size 18M
"$TENON" copy --force vg0/new copy.img && fsck copy.img
"$TENON" lv remove vg0/new --yes || problem 'lv remove'
rm vg0-new.initrd
"$TENON" serve --socket-dir sockets >served 2>&1 &
server=$!
for _ in $(seq 1200); do grep -q '^ready' served && break; sleep 0.05; done
expect 0 'root file system of 32 MiB' "$TENON" image build busybox vg0/root --size 32M --force

# ---- It boots ----
command -v qemu-system-x86_64 >/dev/null || { echo "qemu-system-x86 is not installed"; exit 77; }
await() { # SECONDS PATTERN
	local end=$((SECONDS + $1))
	until grep -aq -- "$2" console; do
		[ $SECONDS -lt $end ] && kill -0 $guest 2>/dev/null || { problem "the guest did not say $2: $(tail -n 30 console)"; return 1; }
		sleep 0.1
	done
}
# boot INITRD DISK...
boot() {
	local initrd=$1
	shift
	rm -f keys.in keys.out monitor.in monitor.out
	mkfifo keys.in keys.out monitor.in monitor.out
	: >console
	cat keys.out >console &
	cat monitor.out >/dev/null &
	qemu-system-x86_64 -accel tcg -smp 1,maxcpus=2 -m 256M -nodefaults -no-user-config -no-reboot -display none \
		-machine q35,memory-backend=ram -object memory-backend-memfd,id=ram,size=256M,share=on \
		-chardev pipe,id=console,path=keys -serial chardev:console -chardev pipe,id=monitor,path=monitor \
		-mon chardev=monitor -kernel "$kernel" -initrd "$initrd" -append 'console=ttyS0 quiet address=10.0.0.1/24 no_timer_check' \
		-netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net "$@" >qemu.log 2>&1 &
	guest=$!
	exec 7>keys.in 8>monitor.in
}
off() {
	for _ in $(seq 1200); do kill -0 $guest 2>/dev/null || break; sleep 0.1; done
	kill -0 $guest 2>/dev/null && { problem "the machine does not end: $(tail -n 20 console)"; kill -9 $guest; }
	wait $guest || problem "QEMU ended with $?: $(cat qemu.log)"
	guest=
	exec 7>&- 8>&-
}
boot root.initrd -drive if=virtio,format=raw,file=root.img
if await 120 'ends the machine'; then
	printf 'ip address show dev eth0; echo marked >/root/mark; sync; mount; echo said-$((40 + 2))\n' >&7
	await 60 'said-42'
	grep -aq 'inet 10.0.0.1/24' console || problem "no address: $(tail -n 20 console)"
	grep -aq '/dev/vda on / type ext4 (rw' console || problem "the root: $(tail -n 20 console)"
	printf 'poweroff\n' >&7
	off
	fsck root.img
	[ "$(/usr/sbin/debugfs -R 'cat /root/mark' root.img 2>/dev/null)" = marked ] || problem "what the guest wrote is not there"
fi
boot vg0-root.initrd -chardev socket,id=disk,path=sockets/vg0-root.sock -device vhost-user-blk-pci,chardev=disk,num-queues=1
if await 120 'ends the machine'; then
	printf 'system_powerdown\n' >&8
	off
fi
kill $server
wait $server || problem "the server ended with $?"
server=
"$TENON" copy --force vg0/root copy.img && fsck copy.img

[ $failures = 0 ] && echo "guests made in a file and in a volume boot"
exit $((failures > 0))
