#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# How long a guest's 4 KiB reads take, one each 500 microseconds, while the server that has its disk is kept busy with
# a group of 10,000 volumes: by nothing, by `tenon lv create`, by `tenon lv list --json`. And how many 128 KiB
# reads a second (which cost the server 20 times what they cost the client, for there may be but two processors) two guests get
# together, on two groups, with one data worker and with two; and one guest by two queues of one disk. On a busy host, REALTIME=1 keeps its other work out
# of the figures: the server and the clients get priorities of their own.
set -u
if [ -z "${KEPT:-}" ]; then
	KEPT=1 "$0" "$@" | "$(dirname "$0")/keep.py" serve_busy
	exit "${PIPESTATUS[0]}"
fi
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
BENCH=$(realpath "${BENCH:-build/tests/bench/vhost_user_blk_bench}")
maker=$(realpath tests/bench/many_volumes.py)
seconds=${SECONDS_EACH:-5}
. tests/place.sh
work=$(mktemp -d -p "$(place 1024)") || exit 1
server=
looping=
stop_server() { [ -n "$server" ] && kill "$server" && wait "$server"; server=; }
trap 'stop_server; [ -n "$looping" ] && kill $looping; rm -rf "$work"' EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none TENON_DEVICES=$work/p.img:$work/q.img
serve() {
	: >out
	${REALTIME:+chrt -f 10} "$TENON" serve --socket-dir s "$@" >out 2>err &
	server=$!
	until grep -q ^ready out; do
		kill -0 $server 2>/dev/null || { cat err; exit 1; }
		sleep 0.05
	done
}

truncate -s 3G p.img
truncate -s 512M q.img
"$TENON" vg create vg0 p.img --metadata-size 64M --extent-size 128K && python3 "$maker" p.img "${VOLUMES:-10000}" || exit 1
"$TENON" lv create vg0/disk --size 256M && "$TENON" vg create vg1 q.img && "$TENON" lv create vg1/disk --size 256M || exit 1
for volume in vg0/disk vg1/disk; do head -c 256M /dev/zero | tr '\0' 'x' | "$TENON" copy - $volume --force >/dev/null 2>&1; done

serve vg0
latency() {
	printf '%-32s' "$1:"
	${REALTIME:+chrt -f 20} "$BENCH" s/vg0-disk.sock every 500 seconds "$seconds"
}
latency 'beside nothing'
: >made
(i=0; while "$TENON" lv create vg0/made$i --size 128K; do i=$((i + 1)); echo >>made; done) >/dev/null 2>&1 &
looping=$!
latency 'beside lv create'
kill $looping; wait $looping 2>/dev/null
echo "  ($(wc -l <made) were made)"
(while "$TENON" lv list --json; do :; done) >/dev/null 2>&1 &
looping=$!
latency 'beside lv list --json'
kill $looping; wait $looping 2>/dev/null
looping=
stop_server

[ -n "${ONLY_LATENCY:-}" ] && exit
for workers in 1 2; do
	serve vg0/disk vg1/disk --workers $workers
	${REALTIME:+chrt -f 10} "$BENCH" s/vg0-disk.sock size 128K depth 8 seconds "$seconds" >one & first=$!
	${REALTIME:+chrt -f 10} "$BENCH" s/vg1-disk.sock size 128K depth 8 seconds "$seconds" >two
	wait $first
	${REALTIME:+chrt -f 10} "$BENCH" s/vg0-disk.sock queues 2 size 128K depth 8 seconds "$seconds" |
		awk -v w=$workers '{ printf "%d data worker%s, two queues of one disk: %d requests per second\n", w, (w > 1 ? "s" : ""), $2 }'
	awk -v w=$workers '{ sum += $2; each = each " " $2 } END { printf "%d data worker%s: %d requests per second (%s )\n", w, (w > 1 ? "s" : ""), sum, each }' one two
	stop_server
done
