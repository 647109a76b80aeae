#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# How long `tenon serve` takes to be ready with many volumes, how much memory, and how long it takes to end.
set -u
if [ -z "${KEPT:-}" ]; then
	KEPT=1 "$0" "$@" | "$(dirname "$0")/keep.py" serve_many
	exit "${PIPESTATUS[0]}"
fi
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
maker=$(realpath tests/bench/many_volumes.py)
. tests/place.sh
work=$(mktemp -d -p "$(place 1024)") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none TENON_DEVICES=$work/p.img
now() { date +%s%N; }

for count in ${COUNTS:-1000 2000 4000 10000}; do
	rm -f p.img out # which would say that the one before is ready
	touch out
	truncate -s 2G p.img
	"$TENON" vg create vg0 p.img --metadata-size 64M --extent-size 128K && python3 "$maker" p.img "$count" || exit 1
	begin=$(now)
	"$TENON" serve --socket-dir s >out 2>err &
	server=$!
	until grep -q ^ready out; do
		kill -0 $server 2>/dev/null || { cat err; exit 1; }
		sleep 0.02
	done
	ready=$((($(now) - begin) / 1000000))
	read -r user system < <(awk '{print $14 * 10, $15 * 10}' /proc/$server/stat)
	memory=$(awk '/^VmRSS/ { printf "%d", $2 / 1024 }' /proc/$server/status)
	begin=$(now)
	kill $server
	wait $server
	printf '%6d volumes: ready in %d ms (CPU %d ms user, %d ms system), %d MiB; ended in %d ms\n' \
		"$(grep -c 'sock$' out)" $ready "$user" "$system" "$memory" $((($(now) - begin) / 1000000))
done
