#!/usr/bin/env bash
# Our vhost-user-blk server beside qemu-storage-daemon, driven by the same client (vhost_user_blk_bench):
# requests per second, and per second of the server's processor time, on a disk that does nothing and on
# a file with direct I/O. Both servers run all the time and are measured in turn (A B A B ...); the
# figures are medians, the ratios ours to theirs.
#
#	block.sh [ROUNDS [SECONDS]]	5 rounds of 0.5 s for each case
#
# The servers are bound to processor 0 and the client to 1, where there are two.
set -u
cd "$(dirname "$0")/../.."
rounds=${1:-5} seconds=${2:-0.5}
server=$(pwd)/build/tests/helpers/blk_server
bench=$(pwd)/build/tests/bench/vhost_user_blk_bench
for program in "$server" "$bench"; do
	[ -x "$program" ] || { echo "$program is not built"; exit 77; }
done
command -v qemu-storage-daemon >/dev/null || { echo "qemu-storage-daemon is not installed"; exit 77; }
on_server=() on_client=()
if [ "$(nproc)" -ge 2 ]; then on_server=(taskset -c 0) on_client=(taskset -c 1); fi

work=$(mktemp -d "${BENCH_DIR:-$(pwd)/build}/bench-XXXXXX")
pids=()
cleanup() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
head -c 256M /dev/urandom >disk.img
sync

start() { # NAME COMMAND...
	local name=$1; shift
	"${on_server[@]}" "$@" >"$name.log" 2>&1 &
	pids+=($!)
	printf -v "pid_${name//-/_}" %d $!
	for _ in $(seq 100); do [ -S "$name.sock" ] && return; sleep 0.05; done
	echo "$name does not start"; cat "$name.log"; exit 1
}
export_of() { echo "vhost-user-blk,id=e,node-name=n,writable=on,addr.type=unix,addr.path=$1.sock"; }

start tenon-null "$server" tenon-null.sock null 256M
start qsd-null qemu-storage-daemon --blockdev null-co,node-name=n,size=268435456,read-zeroes=off \
	--export "$(export_of qsd-null)"
start tenon-file "$server" tenon-file.sock file disk.img
start qsd-file qemu-storage-daemon \
	--blockdev file,node-name=n,filename=disk.img,cache.direct=on,aio=io_uring,locking=off \
	--export "$(export_of qsd-file)"

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

measure() { # CASE DISK OPTION...
	local case=$1 disk=$2 who pid line; shift 2
	rm -f tenon.* qsd.*
	for _ in $(seq "$rounds"); do
		for who in tenon qsd; do
			pid=pid_${who}_$disk
			line=$("${on_client[@]}" "$bench" "$who-$disk.sock" seconds "$seconds" \
				pid "${!pid}" "$@") || { echo "$case at $who: failed: $line"; exit 1; }
			echo "$line" | awk '{ print $2 }' >>$who.iops
			echo "$line" | awk '{ print $8 }' >>$who.percpu
		done
	done
	printf '%-34s %10.0f %10.0f %6.2f %12.0f %10.0f %6.2f\n' "$case" \
		"$(median <tenon.iops)" "$(median <qsd.iops)" \
		"$(echo "$(median <tenon.iops) $(median <qsd.iops)" | awk '{ print $1 / $2 }')" \
		"$(median <tenon.percpu)" "$(median <qsd.percpu)" \
		"$(echo "$(median <tenon.percpu) $(median <qsd.percpu)" |
			awk '{ print ($2 > 0 ? $1 / $2 : 0) }')"
}

echo "vhost-user-blk, $rounds rounds of $seconds s, load $(cut -d' ' -f1 /proc/loadavg)"
printf '%-34s %10s %10s %6s %12s %10s %6s\n' "" "requests/s" "qsd" ratio "per cpu s" "qsd" ratio
for disk in null file; do
	for mode in randread randwrite; do
		for depth in 1 32; do
			measure "$disk $mode 4K depth $depth" $disk mode $mode depth $depth
		done
	done
	[ $disk = null ] && for depth in 1 32; do
		measure "null randread 4K depth $depth, polls" null mode randread depth $depth wait poll
	done
	for mode in read write; do
		measure "$disk $mode 1M depth 4" $disk mode $mode size 1M depth 4
	done
done
