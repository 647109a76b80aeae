#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What the demo shows, with our own monitor as the engine: in a machine with hardware virtualisation
# (rig svm), tenon serves two volumes of a mirror, runs a switch, and boots two guests with Debian's stock
# kernel under KVM; they ping each other and write files while a disk is replaced, and power off. Then the
# real kernel judges the disks.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
rig_require svm
rig_require uml
. "$TOP/tests/demo/guests.sh"
cd "$WORK"

truncate -s 128M d0.img d1.img d2.img
export TENON_DEVICES="$WORK/d0.img:$WORK/d1.img"
"$TENON" raid create mirror --level 1 d0.img d1.img
"$TENON" vg create demo md/mirror
make_initramfs
make_root one 10.0.0.1 10.0.0.2 40M 1M
make_root two 10.0.0.2 10.0.0.1 40M 1M
for guest in one two; do
	"$TENON" lv create demo/$guest --size 40M
	"$TENON" copy root-$guest.ext4 demo/$guest
done

rig_boot svm --name outer --memory 1G --with tenon \
	--disk d0.img --disk d1.img --disk d2.img \
	--file "$(rig_kernel svm):/boot/vmlinuz" --file boot.cpio:/boot/initrd --script - <<'GUEST'
cd /run
mkdir s
export TENON_DEVICES=$DISK0:$DISK1:$DISK2
fail() {
	echo "failed: $*"
	tail -n 5 serve.log switch.log
	for guest in one two; do echo "console of $guest:"; tail -n 8 /result/console-$guest; done
	exit 1
}
# As long as all that is needed for it runs, and the rig is not about to end: on a crowded host the guests take many minutes.
running=
await() {
	end=$(($(date +%s) + 1300))
	until "$@"; do
		for process in $running; do kill -0 $process || fail "a process ended before: $*"; done
		[ $(date +%s) -lt $end ] || fail "waited in vain: $*"
		sleep 0.2
	done
}
wrote() { [ "$(grep -ac '^@ file' /result/console-one)" -ge $1 ] && [ "$(grep -ac '^@ file' /result/console-two)" -ge $1 ]; }

tenon serve demo --socket-dir s >serve.log 2>&1 &
server=$!
tenon switch run lan --socket-dir s --port one=vhost-user --port two=vhost-user --capture /result/lan.pcap >switch.log 2>&1 &
switch=$!
for log in serve switch; do await grep -q ready $log.log; done

mkfifo type-one type-two
exec 3<>type-one 4<>type-two
run() {
	tenon vm run --kernel /boot/vmlinuz --initrd /boot/initrd --cmdline "console=ttyS0 quiet loglevel=3 panic=-1" \
		--memory 192M --disk vhost-user:s/demo-$1.sock --nic vhost-user:s/$1.sock --console stdio
}
run one <type-one >/result/console-one 2>&1 &
one=$!
run two <type-two >/result/console-two 2>&1 &
two=$!
running="$server $switch $one $two"

await wrote 2
tenon raid fail mirror $DISK1 || fail "raid fail"
await wrote 4
tenon raid remove mirror $DISK1 && tenon raid add mirror $DISK2 && tenon raid rebuild mirror || fail "rebuild"
await wrote 6
tenon switch show lan
printf '\nstop\n' >&3
printf '\nstop\n' >&4
wait $one || fail "the monitor of guest one ended with $?"
wait $two || fail "the monitor of guest two ended with $?"
kill $switch $server
wait $switch || fail "the switch ended with $?"
wait $server || fail "the server ended with $?"
GUEST

for guest in one two; do
	grep -aE '^@ (up|ping|pings|root)' "$(rig_results outer)/console-$guest" | tr -d '\r'
	grep -aq '^@ root is read-only again' "$(rig_results outer)/console-$guest" || rig_fail "guest $guest did not power off"
	sed -n 's|.*@ file \(data/[0-9]*\) \([0-9a-f]\{32\}\)\r*$|\2  \1|p' "$(rig_results outer)/console-$guest" >sums-$guest
	echo "$(md5sum <root-$guest/root/noise | cut -d ' ' -f 1)  root/noise" >>sums-$guest
done
python3 "$DEMO/capture.py" "$(rig_results outer)/lan.pcap"
{ echo '#!/bin/sh'; echo 'GUESTS="one two"'; tail -n +2 "$DEMO/check_guest"; } >check
rig_boot uml --name judge --disk d0.img --disk d2.img --with mdadm --with lvm2 --with e2fsck --modules raid1 \
	--file sums-one --file sums-two --script check
grep -aE '^(members in sync|check of|volume )' "$(rig_console judge)"
