#!/usr/bin/env bash
# Counts of a 4 KiB write: fiber switches, calls of the ring, requests, and instructions in user space
# (callgrind; the difference of two runs, so that what surrounds the writes does not count).
#
#	counts.sh [FOLDER]	where the images go; /dev/shm
set -u
cd "$(dirname "$0")/../.."
bench=$(pwd)/build/tests/bench/write_counts_bench
[ -x "$bench" ] || { echo "$bench is not built"; exit 77; }
work=$(mktemp -d "${1:-/dev/shm}/tenon-counts-XXXXXX")
trap 'rm -rf "$work"' EXIT

instructions() { # KIND WRITES
	TENON_ENGINE=aio valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$1" "$work" "$2" 2>&1 >/dev/null |
		sed -n 's/.*Collected : //p'
}

for kind in file linear mirror; do
	"$bench" "$kind" "$work" 2000 || exit 1
	command -v valgrind >/dev/null || { echo "  valgrind is not installed: no instructions"; continue; }
	less=$(instructions "$kind" 1000) more=$(instructions "$kind" 3000)
	[ -n "$less" ] && [ -n "$more" ] && echo "  $(((more - less) / 2000)) instructions a write (libaio)"
done
