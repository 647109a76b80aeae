#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A storage server that is killed (SIGKILL) again and again under machines that write and verify: no request is
# lost, none is answered twice, no block is wrong, nobody notices but by the time it takes. QEMU's guests, with split
# and with packed rings, here; our own monitor's in a machine with (emulated) SVM. All see the volume grow
# at the end, and write until they do. TORTURE=1: killed 20 times each, and QEMU's have two processors and queues, each queue on a worker of its own.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
rig_require svm
verify=$TOP/build/tests/helpers/disk_verify
[ -x "$verify" ] || rig_skip "$verify is not built"
cd "$WORK"
if [ -n "${TORTURE-}" ]; then kills=20 queues=2 deadline=2400; else kills=3 queues=1 deadline=1600; fi

# serve: starts the server and waits for its socket, also in the machine around the monitor's.
cat >serve.sh <<'SERVE'
serve() {
	tenon serve vg --socket-dir s --workers 2 >>serve.log 2>&1 &
	server=$!
	until grep -q "^ready" serve.log; do
		kill -0 $server || { cat serve.log; exit 1; }
		sleep 0.05
	done
}
# kill_often TIMES CONSOLE [LOG]: once CONSOLE says that the guest has begun; again when LOG, its monitor's, says that it knows the last one.
kill_often() {
	end=$(($(date +%s) + 1300)) # a little before the rig ends
	until grep -q begins "$2"; do
		[ $(date +%s) -lt $end ] || { echo "the guest did not begin"; cat "$2"; exit 1; }
		sleep 0.1
	done
	for time in $(seq $1); do
		sleep 1.$time
		kill -KILL $server
		wait $server 2>/dev/null || :
		: >serve.log
		[ $((time % 2)) = 0 ] || sleep 0.7
		serve
		[ -z "${3-}" ] || until [ "$(grep -c 'the back-end is back' $3)" = $time ]; do sleep 0.05; done
	done
}
SERVE
cat >guest-script <<GUEST
dmesg -n 1
size=\$(cat /sys/block/vda/size)
while [ "\$(cat /sys/block/vda/size)" = "\$size" ]; do
	$verify \$DISK0 10 12 || exit 1
done
dmesg | grep -E 'I/O error|is not a head|input:id' && exit 1
cat /sys/block/vda/size >/result/size
GUEST

PATH=$(dirname "$TENON"):$PATH
. ./serve.sh
truncate -s 80M pv.img
export TENON_DEVICES=$WORK/pv.img
tenon vg create vg pv.img
tenon lv create vg/disk --size 40M
size=40

for ring in num-queues=$queues packed=on,num-queues=$queues; do
	: >serve.log
	serve
	rig_start tcg --name "qemu-${ring%%=*}" --deadline $deadline --cpus $queues --with "$verify" \
		--disk "vhost-user:s/vg-disk.sock,reconnect=1+$ring" --script guest-script
	kill_often $kills "$(rig_console)"
	size=$((size + 8))
	tenon lv resize vg/disk --size ${size}M
	rig_wait || rig_fail "the guest of QEMU ($ring) saw it"
	grep -a 'requests, the longest' "$(rig_console)"
	[ "$(rig_result size)" = $((size * 2048)) ] || rig_fail "the guest of QEMU ($ring) did not see the volume grow"
	kill $server
	wait $server || rig_fail "the server ended with $?"
done

# The same with our monitor.
rm -f pv.img
truncate -s 80M pv.img
tenon vg create vg pv.img
tenon lv create vg/disk --size 40M
rig_initrd svm inner.cpio --modules "virtio_blk virtio_pci" --with "$verify" --script - <<INNER
dmesg -n 1
echo "size \$(cat /sys/block/vda/size)"
well="all is well"
while [ "\$(cat /sys/block/vda/size)" = 81920 ]; do
	$verify /dev/vda 20 12 || { well=; break; }
done
echo "\$well"
dmesg | grep -E 'I/O error|is not a head|input:id'
echo "size \$(cat /sys/block/vda/size)"
INNER
rig_boot svm --name outer --memory 1G --deadline $deadline --with tenon --disk pv.img \
	--file serve.sh --file "$(rig_kernel svm):/boot/vmlinuz" --file inner.cpio:/boot/initrd --script - <<GUEST
. /root/serve.sh
cd /run
export TENON_DEVICES=\$DISK0
: >serve.log
serve
tenon vm run --kernel /boot/vmlinuz --initrd /boot/initrd --cmdline "console=ttyS0 quiet panic=-1 rdinit=/init" \
	--memory 192M --cpus 1 --disk vhost-user:s/vg-disk.sock --console console </dev/null >vm.log 2>&1 &
vm=\$!
kill_often $kills console vm.log
tenon lv resize vg/disk --size 64M || exit 1
status=0
wait \$vm || status=\$?
cat vm.log
grep -aE 'size|requests|well|error' console
[ \$status = 0 ] && grep -q 'all is well' console && ! grep -q 'I/O error' console || { cat console; exit 1; }
[ "\$(grep -ac 'size 81920' console)" = 1 ] && [ "\$(grep -ac 'size 131072' console)" = 1 ] || exit 1
[ "\$(grep -c 'the back-end is back' vm.log)" = $kills ] || exit 1
GUEST
grep -aE 'requests, the longest|^size|back-end is back' "$(rig_console outer)" | tail -n 5
