#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs every fuzz target for FUZZ_SECONDS (default 5) from its corpus, two at a time.
# timeout: 3000
set -u
cd "$(dirname "$0")/.." || exit 1
targets=(build-fuzz/*_fuzz)
[ -x "${targets[0]}" ] || { echo "no fuzz targets were built (make fuzzers)"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

one() {
	local target=$1 work=$2 seconds=$3 name
	name=$(basename "$target" _fuzz)
	mkdir -p "$work/$name"
	local corpus=()
	[ -d "tests/fuzz/corpus/$name" ] && corpus=("tests/fuzz/corpus/$name")
	if "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
		-artifact_prefix="$work/$name-" "$work/$name" "${corpus[@]}" >"$work/$name.log" 2>&1; then
		echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log") runs"
	else
		echo "$name: FAILED"
		tail -n 60 "$work/$name.log"
		for file in "$work/$name"-*; do
			[ -f "$file" ] && echo "input $(basename "$file"):" && base64 "$file" | head -n 40
		done
		return 1
	fi
}
export -f one
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'one "$1" "$2" "$3"' _ {} "$work" "${FUZZ_SECONDS:-5}"
