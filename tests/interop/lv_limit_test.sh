#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Limits of a volume that is served: they hold for all clients and queues, change while requests wait, follow the volume
# through a rename and a resize, and hold up nobody who leaves or ends.
set -u
. "$(dirname "$0")/lib.sh"
IO=$(realpath build/tests/helpers/block_io 2>/dev/null) || { echo 'block_io is not built'; exit 77; }
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
cd "$work" || exit 1
truncate -s 256M a.img
export TENON_DEVICES=$work/a.img
disk=vhost-user:s/vg-l.sock
"$TENON" vg create vg a.img && "$TENON" lv create vg/l --size 64M && "$TENON" lv create vg/m --size 16M ||
	problem 'cannot make the volumes'

# ---- Wrong words, and nobody to ask ----
expect 2 'expected VG/LV' "$TENON" lv limit vg
expect 2 'iops: ' "$TENON" lv limit vg/l --iops many
expect 2 'MiB, or' "$TENON" lv limit vg/l --bandwidth 100
expect 2 'burst: ' "$TENON" lv limit vg/l --burst 2h
expect 2 'either --none' "$TENON" lv limit vg/l --none --iops 1
expect 1 'no server serves it' "$TENON" lv limit vg/l --iops 1
for word in vg/l vg/l= vg/l=iops vg/l=iops=x vg/l=burst=1s md/=iops=1 l=iops=1; do
	expect 2 'limit' "$TENON" serve vg --socket-dir s --limit "$word"
done
expect 2 'given twice' "$TENON" serve vg --socket-dir s --limit vg/l=iops=1 --limit vg/l=iops=2

# ---- Rates ----
launch serve.out "$TENON" serve vg --socket-dir s --limit vg/m=iops=5,bandwidth=1M,burst=2s --limit vg/none=iops=1 ||
	problem "no server: $(cat serve.out)"
server=$launched
wait_for grep -q 'limit vg/none: it is not served' serve.out || problem "not told of a limit for nothing: $(cat serve.out)"
expect 0 'vg/l: no limit' "$TENON" lv limit vg/l
expect 0 'vg/m: at most 5 requests and 1 MiB a second, .* 2s' "$TENON" lv limit vg/m
json "d['name'] == 'vg/m' and d['iops'] == 5 and d['bandwidth_bytes'] == 1 << 20 and d['burst_ns'] == 2 * 10**9" \
	"$TENON" lv limit vg/m --json
expect 0 'at most 4 MiB a second' "$TENON" lv limit vg/l --bandwidth 4M
json "d['iops'] is None and d['bandwidth_bytes'] == 4 << 20 and d['burst_ns'] == 10**8" "$TENON" lv limit vg/l --json
# 16 MiB in no less than 3 s; a machine under load only takes longer.
began=$(date +%s%N)
"$IO" $disk write 0 16M 1 || problem 'a limited write'
took=$((($(date +%s%N) - began) / 1000000))
[ $took -ge 2800 ] || problem "16 MiB at 4 MiB a second took $took ms"
expect 0 'no limit' "$TENON" lv limit vg/l --none
expect 0 '' "$IO" $disk verify 0 16M 1

# ---- Changed while they wait ----
waits() { "$TENON" lv limit "$1" --json | grep -q '"waiting": [1-9]'; }
expect 0 'at most 1 requests' "$TENON" lv limit vg/l --iops 1 --burst 0
expect 0 'at most 1 requests and 1 B a second' "$TENON" lv limit vg/l --bandwidth 1B
"$IO" $disk write 0 8M 2 write 8M 8M 3 flush &
writer=$!
pids+=($writer)
wait_for waits vg/l
# A volume under them grows meanwhile, also one that waits gets no older table.
expect 0 '' "$TENON" lv resize vg/l --size 96M
expect 1 'client is connected' "$TENON" lv rename vg/l other
expect 0 'no limit' "$TENON" lv limit vg/l --none
wait $writer || problem 'a write that waited failed'
expect 0 '' "$IO" $disk verify 0 8M 2 verify 8M 8M 3
json "d['delayed'] > 0 and d['waiting'] == 0" "$TENON" lv limit vg/l --json

# ---- A client that is killed while its requests wait is not in the way of the next ----
expect 0 '' "$TENON" lv limit vg/l --bandwidth 1B --burst 0
"$IO" $disk write 0 8M 4 &
writer=$!
wait_for waits vg/l
kill -9 $writer
wait $writer 2>/dev/null
again() { "$IO" $disk write 0 64K 5 2>/dev/null; }
gone() { "$TENON" lv limit vg/l --json | grep -q '"waiting": 0'; }
wait_for gone
"$TENON" lv limit vg/l --none >/dev/null
wait_for again

# ---- A rename takes it along, and removing the volume ends it ----
expect 0 '' "$TENON" lv limit vg/m --iops 77
expect 0 '' "$TENON" lv rename vg/m n
json "d['iops'] == 77 and d['bandwidth_bytes'] == 1 << 20" "$TENON" lv limit vg/n --json
expect 0 '' "$TENON" lv remove vg/n --yes
expect 1 'vg/n' "$TENON" lv limit vg/n
expect 0 '' "$TENON" lv create vg/n --size 16M
expect 0 'vg/n: no limit' "$TENON" lv limit vg/n

# ---- The server ends at once, though somebody waits; the next one knows of no limit ----
expect 0 '' "$TENON" lv limit vg/l --bandwidth 1B --burst 0
"$IO" $disk write 0 16M 6 2>/dev/null &
writer=$!
pids+=($writer)
wait_for waits vg/l
kill $server
wait $server || problem "the server ended with $?: $(cat serve.out)"
! grep -q 'ending without' serve.out || problem "it had to be ended: $(cat serve.out)"
wait $writer 2>/dev/null
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
expect 0 'vg/l: no limit' "$TENON" lv limit vg/l

# ---- An array ----
truncate -s 64M m.img n.img
export TENON_DEVICES=$work/m.img:$work/n.img
"$TENON" raid create r0 --level 1 --assume-clean m.img n.img || problem 'cannot make an array'
expect 1 'no server serves it' "$TENON" raid limit r0 --iops 1
launch array.out "$TENON" serve md/r0 --socket-dir t --limit md/r0=bandwidth=4M || problem "no server: $(cat array.out)"
expect 0 'md/r0: at most 4 MiB a second' "$TENON" raid limit r0
began=$(date +%s%N)
"$IO" vhost-user:t/md-r0.sock write 0 8M 1 || problem 'a limited write'
took=$((($(date +%s%N) - began) / 1000000))
[ $took -ge 1400 ] || problem "8 MiB at 4 MiB a second took $took ms"
expect 0 'no limit' "$TENON" raid limit md/r0 --none
expect 0 '' "$IO" vhost-user:t/md-r0.sock verify 0 8M 1
json "d['name'] == 'md/r0' and d['iops'] == 9" "$TENON" raid limit r0 --iops 9 --json

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'limits hold, change at once, and hold up nobody who leaves'
