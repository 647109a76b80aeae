#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays over memory: filling a member against memcpy; what a 4 KiB request costs, by level, disks and depth; and a guest's
# requests beside a rebuild, on files. Counts do not change with what else the machine does; times do.
#	raid.sh [MIB [ROUNDS]]	of the mirror's rebuild
set -e -o pipefail
here=$(dirname "$0")
bench=$here/../../build/tests/bench
"$bench/raid_rebuild_bench" "${1:-256}" "${2:-5}" | "$here/keep.py" raid
echo "== filling a member over memory, GB of it for a CPU-second, and against a memcpy that reads and writes as much in all"
for shape in '1 2' '10 4' '5 3' '5 4' '5 8' '5 24' '6 4' '6 8' '6 24'; do
	printf 'level and disks %-6s ' "$shape"
	for _ in 1 2 3; do "$bench/raid_array_bench" rebuild $shape 48; done | sort -n -k 4 | sed -n 2p
done
# Instructions: the difference of two runs, so that what surrounds the requests does not count.
instructions() {
	local run count=()
	command -v valgrind >/dev/null || { echo -; return; }
	for run in 500 1500; do
		count+=("$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench/raid_array_bench" "$@" $run 2>&1 >/dev/null | sed -n 's/.*Collected : \([0-9]*\).*/\1/p')")
	done
	echo $(((count[1] - count[0]) / 1000))
}
echo "== a 4 KiB request at a random place, over memory"
for mode in write read; do
	for shape in '1 2 1' '10 4 1' '5 3 1' '5 4 1' '5 8 1' '5 12 1' '5 24 1' '6 4 1' '6 8 1' '6 24 1' '5 8 2' '5 8 8' '5 8 32' '5 8 128' '6 8 32' '5 24 128'; do
		printf '%s, level, disks, depth %-8s instructions %7s ' $mode "$shape" "$(instructions $mode $shape)"
		"$bench/raid_array_bench" $mode $shape 20000
	done
done
echo "== requests of a guest, half a millisecond apart, without and beside a rebuild, on files"
folder=$(mktemp -d -p "${BENCH_FOLDER:-$bench}")
trap 'rm -rf "$folder"' EXIT
for level in 1 5; do
	echo "level $level"
	"$bench/raid_array_bench" guest $level "$folder" 5
done
echo "== the same in virtual time, members that take 80 microseconds, 20,000 requests and 500 MiB a second: what else the machine does is not in it"
for level in 1 5; do
	echo "level $level"
	"$bench/raid_array_bench" guest $level - 2
done
