#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon vm run --disk VG/LV` boots what is on the volume, by a server of its own or the one that has it, in a guest with emulated SVM; the
# volumes grow meanwhile, and after the end, also that of a machine that was killed, nothing has them.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs >/dev/null || rig_skip "mke2fs (e2fsprogs) is not installed"
cd "$WORK"
truncate -s 220M pv.img
export TENON_DEVICES=$WORK/pv.img
"$TENON" vg create vg0 pv.img
"$TENON" lv create vg0/root --size 64M
"$TENON" lv create vg0/data --size 8M
"$TENON" image build busybox vg0/root --kernel "$(rig_kernel tcg)" >built
grep -q 'tenon vm run --disk vg0/root' built || rig_fail "it does not say how it boots: $(cat built)"

cat >around <<'AROUND'
export TENON_DEVICES=$DISK0 TENON_RUNTIME_DIR=/tmp/run
mkdir -p /tmp/run
await() {
	end=$(($(date +%s) + 1300)) # a little before the rig ends
	until "$@" 2>/dev/null >&2; do
		[ $(date +%s) -lt $end ] || { echo "waited in vain for: $*"; cat console* vm.log; exit 1; }
		sleep 0.2
	done
}
start() { # CONSOLE
	tenon vm run --disk vg0/root --disk vg0/data --console $1 </dev/null 2>vm.log &
	vm=$!
	await grep -q "A guest of tenon's" $1
}
end() {
	kill -TERM $vm
	status=0
	wait $vm || status=$?
	echo "exit status $status"
	[ $status = 0 ] || { cat console* vm.log; exit 1; }
	[ -z "$(ls /tmp/run)" ] || { echo "left: $(ls /tmp/run)"; exit 1; }
}
start console1
grep -q 'root=/dev/vda ro console=ttyS0' console1 || { echo "its parameters"; exit 1; }
tenon lv extend vg0/data --size +4M || exit 1
await grep -q 'vdb.*new size' console1
end
# Killed at once: its server ends by itself.
start console2
kill -9 $vm
wait $vm || :
await tenon lv extend vg0/data --size +4M
rmdir /tmp/run/vm-*-disks 2>/dev/null || :
# A server that has them already keeps them.
tenon serve vg0 --socket-dir /tmp/sockets >serve.log 2>&1 &
server=$!
await grep -q ready serve.log
start console3
kill -TERM $vm
wait $vm || exit 1
tenon lv list --json | grep -q '"served": "/tmp/sockets/vg0-root.sock"' || { echo "the server has gone"; exit 1; }
kill $server
wait $server || exit 1
echo "all three booted"
AROUND
echo "in a guest with emulated SVM"
rig_boot svm --memory 1000M --with tenon --disk pv.img --script around
grep -q 'all three booted' "$(rig_console)" || rig_fail 'it did not say so'
[ "$("$TENON" lv show vg0/data --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["size_bytes"] >> 20)')" = 16 ] || rig_fail 'the volume has not grown'
echo 'volumes boot, by a server of their own and by the one that was there'
