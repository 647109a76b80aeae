#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What `tenon vm run` says to wrong arguments, files that are no kernel, and what is not there.
set -u
cd "$(dirname "$0")/../.." || exit 1
tenon=$PWD/build/tenon
[ -n "${TENON-}" ] && tenon=$TENON
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# expect STATUS TEXT ARGUMENT...
expect() {
	local wanted=$1 text=$2 status=0
	shift 2
	timeout 60 "$tenon" vm "$@" </dev/null >said 2>&1 || status=$?
	if [ $status != "$wanted" ] || ! grep -qF -- "$text" said; then
		echo "tenon vm $*: exit status $status, expected $wanted and '$text'; it said:"
		cat said
		failed=1
	fi
}

# A bzImage without anything in it but a good header.
kernel() {
	head -c 4096 /dev/zero >"$1"
	patch() { printf "$2" | dd of="$3" bs=1 seek=$(($1)) conv=notrunc status=none; }
	patch 0x1f1 '\001' "$1"
	patch 0x1f4 '\300\000' "$1"
	patch 0x1fe '\125\252' "$1"
	patch 0x201 '\152HdrS\017\002' "$1"
	patch 0x202 'HdrS' "$1"
	patch 0x206 '\017\002' "$1"
	patch 0x211 '\001' "$1"
	patch 0x22c '\377\377\377\177' "$1"
	patch 0x236 '\001' "$1"
	patch 0x238 '\377\007' "$1"
	patch 0x25b '\001' "$1"
	patch 0x262 '\020' "$1"
}

kernel good
expect 2 '--kernel is missing' run
expect 2 'usage' run --nonsense
expect 2 'expected vhost-user:SOCKET or tap:IFNAME' run --kernel good --nic eth0
expect 1 'not a regular file' run --kernel /dev/null
expect 1 'No such file' run --kernel missing
head -c 9000 /dev/urandom >noise
printf '\0\0' | dd of=noise bs=1 seek=510 conv=notrunc status=none
expect 1 'noise: not a bzImage: the boot flag at byte 0x1fe is 0x0, expected 0xaa55' run --kernel noise
expect 1 'it looks like an ELF file' run --kernel "$tenon"
head -c 3000 good >short
expect 1 'short: truncated' run --kernel short
expect 2 'expected one from 32 MiB' run --kernel good --memory 1M
expect 2 'from 1 to 254' run --kernel good --cpus 1000
mkfifo fifo
expect 1 'fifo: not a regular file, but a FIFO' run --kernel fifo
expect 1 'fifo: not a regular file, but a FIFO' run --kernel good --initrd fifo
expect 2 '--initrd: of which kernel?' run --initrd good --disk absent.img
# From a disk.
truncate -s 8M empty.img
expect 1 'empty.img: there is no kernel in an ext4 file system on it' run --disk empty.img,ro
expect 1 'absent.img' run --disk absent.img
truncate -s 64M pv.img
export TENON_DEVICES=$work/pv.img TENON_RUNTIME_DIR=$work/run
"$tenon" vg create vg0 pv.img && "$tenon" lv create vg0/none --size 8M || failed=1
expect 1 'vg0/none: there is no kernel in an ext4 file system on it' run --disk vg0/none
# What a machine has left that was killed together with its server.
gone=$(sh -c 'echo $$')
mkdir "$work/run/vm-$gone-disks"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$work/run/vm-$gone-disks/vg0-none.sock"
expect 1 'vg0/none: there is no kernel' run --disk vg0/none
[ ! -e "$work/run/vm-$gone-disks" ] || { echo "left: $(ls "$work/run/vm-$gone-disks")"; failed=1; }
expect 1 "has no volume 'absent'" run --disk vg0/absent
expect 1 'vg0/none,ro: a volume takes no options of an image file' run --disk vg0/none,ro
[ -z "$(ls "$work/run")" ] || { echo "left: $(ls "$work/run")"; failed=1; }
expect 1 'no such volume group' run --kernel good --disk nogroup/none
kernel hungry
printf '\0\0\0\3' | dd of=hungry bs=1 seek=$((0x260)) conv=notrunc status=none
expect 1 'hungry: the kernel takes 48 MiB from 0x1000000 on, the machine has 63 MiB' run --kernel hungry --memory 63M
expect 1 'at least --memory 64M' run --kernel hungry --memory 63M

if [ -w /dev/kvm ]; then
	expect 1 'cannot connect: No such file' run --kernel good --disk vhost-user:absent.sock
	expect 1 'the path has 200 bytes' run --kernel good --nic "vhost-user:$(printf 'x%.0s' {1..200})"
	expect 1 'absent.img' run --kernel good --disk absent.img
	truncate -s 1M serial1.img serial2.img
	expect 1 'serial2.img: another disk has its serial number, same' \
		run --kernel good --disk serial1.img,serial=same --disk serial2.img,ro,serial=same
	expect 1 'has 21 characters, expected 1 to 20' \
		run --kernel good --disk serial1.img,serial=123456789012345678901
	expect 1 'expected letters' run --kernel good --disk serial1.img,serial=a/b,ro
	head -c 4090 good >unpadded # ends in the last paragraph of 16 bytes, which the header counts
	expect 1 'absent.img' run --kernel unpadded --disk absent.img
	expect 1 'initial RAM disk' run --kernel good --initrd absent.cpio
	truncate -s 100M large
	expect 1 'large: the initial RAM disk takes 100 MiB' run --kernel good --initrd large --memory 64M
	expect 1 'no Ethernet address of a station' run --kernel good --nic vhost-user:x,mac=01:00:00:00:00:00
	if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ "$(stat -c %a /dev/kvm)" = 660 ]; then
		chmod 755 .
		tenon_as_nobody=$(mktemp -d)
		install -m 755 "$tenon" "$tenon_as_nobody/tenon"
		chmod 755 "$tenon_as_nobody"
		cat >nobody <<-END
			#!/bin/sh
			exec setpriv --reuid 65534 --regid 65534 --clear-groups "$tenon_as_nobody/tenon" "\$@"
		END
		chmod 755 nobody
		tenon=$work/nobody expect 1 "adduser \$USER $(getent group "$(stat -c %g /dev/kvm)" | cut -d : -f 1)" run --kernel good
		rm -rf "$tenon_as_nobody"
	fi
else
	expect 1 '/dev/kvm' run --kernel good
fi
exit $failed
