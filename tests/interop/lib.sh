# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# How the tests of this folder begin:
#
#	set -u
#	. "$(dirname "$0")/lib.sh"
#	...			# what must be installed, while the current folder is the project's
#	cd "$work" || exit 1
#
# Sets $TENON and $work (a new folder in $work_in or /tmp, which is removed), and has TENON_* say that nothing outside
# of $work is looked at. At the end it calls cleanup(), if the test has one, and kills what is in the array `pids`.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/processes.sh
TENON=$(realpath "${TENON:-build/tenon}")
work=$(mktemp -d -p "${work_in:-${TMPDIR:-/tmp}}") || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state TENON_DEVICES_FILE=$work/devices TENON_DEVICES=
failures=0
pids=()

lib_end() {
	local pid
	! declare -F cleanup >/dev/null || cleanup
	for pid in ${pids[@]+"${pids[@]}"}; do
		kill "$pid" && kill -CONT "$pid" && wait "$pid" # one may be stopped
	done 2>/dev/null
	rm -rf "$work"
}
trap lib_end EXIT

# The line that is named is the test's own, not one of the functions here.
problem() {
	local i
	for ((i = 1; i < ${#BASH_SOURCE[@]} - 1; i++)); do
		[ "${BASH_SOURCE[i]}" = "${BASH_SOURCE[0]}" ] || break
	done
	echo "FAILED line ${BASH_LINENO[i - 1]}: $*"
	failures=$((failures + 1))
}

# expect STATUS PATTERN COMMAND...: its exit status, and an extended regular expression in what it says.
expect() {
	local status=$1 pattern=$2 limit='timeout 300' rc out
	shift 2
	[ "$(type -t "$1")" != function ] || limit=
	out=$($limit "$@" 2>&1)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $out"
	grep -Eqa -- "$pattern" <<<"$out" || problem "'$*' said: $out; expected: $pattern"
	case $out in *Sanitizer* | *"runtime error"*) problem "'$*': $out" ;; esac
}

# json EXPRESSION COMMAND...: what Python says of `d`, the JSON that it prints.
json() {
	local expression=$1
	shift
	"$@" | python3 -c "
import json, sys
d = json.load(sys.stdin)
sys.exit(0 if ($expression) else 1)" || problem "'$*': not so: $expression"
}

# wait_for COMMAND...: until it is true, a minute at most.
wait_for() {
	for _ in $(seq 1200); do
		"$@" && return
		sleep 0.05
	done
	problem "$* never came true"
	return 1
}

# started PID FILE: until what prints into FILE says that it is ready; false where it has ended before.
started() {
	for _ in $(seq 1200); do
		! grep -qs '^ready' "$2" || return 0
		kill -0 "$1" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}

# launch FILE COMMAND...: in the background, as $launched, until it is ready. What an earlier one has printed
# into FILE must not be taken for its word.
launch() {
	local file=$1
	shift
	rm -f "$file"
	"$@" >"$file" 2>&1 &
	launched=$!
	pids+=("$launched")
	started "$launched" "$file"
}
