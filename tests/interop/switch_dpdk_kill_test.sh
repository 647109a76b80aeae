#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# DPDK's virtio-user between two ports of a switch, which connects to it: numbered frames go through both, while now the switch and now DPDK is
# killed (SIGKILL) and another one started, over split and packed rings, with one queue pair and with four. Frames come again each time, unchanged,
# twice at most what a switch had in its hands; and once both live, each comes once. TORTURE=1: 30 kills each.
set -u
. "$(dirname "$0")/switch_lib.sh"
command -v dpdk-testpmd >/dev/null || lab_skip "dpdk-testpmd (package dpdk-dev) is not installed"
here=$(cd "$(dirname "$0")" && pwd)
lab_enter "$@"
LAB_SWITCH=lab
kills=${TORTURE:+30}
for way in "" ,packed_vq=1,in_order=0 ,queues=4,cq=1 ,packed_vq=1,in_order=1,queues=4,cq=1; do
	queues=1
	case $way in *queues=4*) queues=4 ;; esac
	rm -f ./*.sock
	timeout 500 python3 "$here/switch_dpdk_kill.py" "$LAB" "${kills:-4}" \
		"$TENON switch run lab --socket-dir $LAB --port a=vhost-user:$LAB/a.sock,client,queues=$queues,vlan=1 --port b=vhost-user:$LAB/b.sock,client,queues=$queues,vlan=2 \
			--port x=qemu-stream,vlan=1 --port y=qemu-stream,vlan=2 >switch.out 2>&1" \
		"dpdk-testpmd --no-huge -m 128 --no-pci -l 0,1 --main-lcore=1 --file-prefix=tenonkill$$ \
			--vdev=virtio_user0,path=$LAB/a.sock,queue_size=256,server=1$way --vdev=virtio_user1,path=$LAB/b.sock,queue_size=256,server=1$way \
			-- --no-mlockall --total-num-mbufs=16384 --nb-cores=1 --rxq=$queues --txq=$queues --auto-start --forward-mode=io --stats-period=60 >pmd.out 2>&1 </dev/null" ||
		{ tail -n 5 pmd.out; lab_fail "rings$way"; }
done
lab_done
