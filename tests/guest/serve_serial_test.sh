#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest's disks have the serial numbers that `tenon lv show` tells, each its own, however alike the names are.
. "$(dirname "$0")/rig.sh"
set -u
rig_begin
tenon=${TENON:-$TOP/build/tenon}
cd "$WORK" || exit 1
export TENON_DEVICES=$WORK/p.img TENON_RUNTIME_DIR=$WORK/run TENON_DEVICES_FILE=$WORK/none
truncate -s 128M p.img
"$tenon" vg create customer-a p.img || rig_fail "vg create"
for number in 01 02 03; do
	"$tenon" lv create "customer-a/database-$number" --size 8M || rig_fail "lv create"
done
rig_daemon serve "$tenon" serve --socket-dir s --serial customer-a/database-03=by-hand
rig_await 5 listens s/customer-a-database-03.sock
rig_boot tcg --name guest --disk vhost-user:s/customer-a-database-01.sock --disk vhost-user:s/customer-a-database-02.sock \
	--disk vhost-user:s/customer-a-database-03.sock --script - <<'GUEST'
set -e
for disk in vda vdb vdc; do
	echo "$(cat /sys/block/$disk/serial)"
done >/result/serials
GUEST
for number in 01 02 03; do
	"$tenon" lv show "customer-a/database-$number" --json | sed -n 's/^  "serial": "\(.*\)",*$/\1/p'
done >expected
rig_result serials guest >found
cmp expected found || rig_fail "the guest sees $(cat found), expected $(cat expected)"
[ "$(sort -u expected | wc -l)" = 3 ] || rig_fail "serial numbers are alike"
[ "$(tail -1 expected)" = by-hand ] || rig_fail "the chosen serial number is not the disk's"
