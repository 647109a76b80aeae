#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What tests/run counts, and what it does not run again with -c: what passed or was skipped, and is the same test still.
set -u
cd "$(dirname "$0")/.." || exit 1
run=$PWD/tests/run
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset TEST_TIMEOUT TENON_STATE_DIR
export BUILD=build TENON=$work/build/tenon
mkdir -p build tests
echo flags >build/flags
echo tenon >build/tenon
# Each writes its name when it is run.
make() { # FILE SHELL-COMMANDS
	printf '#!/bin/sh\n%s\n' "echo ${1##*/} >>$work/build/ran; $2" >"$1"
	chmod +x "$1"
}
make tests/good_test.sh ''
# What a program said that it ran is not what it is.
make tests/bad_test.sh 'echo "tenon-unit: 7 passed, 0 failed, 0 skipped"; exit 1'
make tests/none_test.sh 'echo "there is none here"; exit 77'
make build/unit_test 'echo "tenon-unit: 3 passed, 0 failed, 1 skipped"'

failed=0
# RAN TOTAL STATUS OPTION...: which of them are run, and what is said in the end.
expect() {
	local ran=${1:+$1 } total=$2 status=$3 rc; shift 3
	: >build/ran
	"$run" "$@" build/logs tests/*_test.sh build/unit_test >build/said
	rc=$?
	[ "$(sort build/ran | tr '\n' ' ')" = "$ran" ] && [ "$(tail -n 1 build/said)" = "$total" ] && [ $rc = "$status" ] && return
	echo "line ${BASH_LINENO[0]}: ran $(sort build/ran | tr '\n' ' '), exit status $rc, expected $ran$status, and: $total"
	cat build/said
	failed=1
}
all='bad_test.sh good_test.sh none_test.sh unit_test' total='4 passed, 1 failed, 2 skipped'
expect "$all" "$total" 1 -c -j 2
expect bad_test.sh "$total" 1 -c
grep -q '^skip none_test.sh: there is none here ([0-9]* s, before)$' build/said || { cat build/said; failed=1; }
grep -q '^pass unit_test (3 passed, 0 failed, 1 skipped, [0-9]* s, before)$' build/said || { cat build/said; failed=1; }
# A compiled test that became another; any source, for all scripts.
make build/unit_test 'echo "tenon-unit: 4 passed, 0 failed, 0 skipped"; :'
expect 'bad_test.sh unit_test' '5 passed, 1 failed, 1 skipped' 1 -c
echo more >source.c
expect 'bad_test.sh good_test.sh none_test.sh' '5 passed, 1 failed, 1 skipped' 1 -c
for file in flags tenon; do
	echo other >build/$file
	expect 'bad_test.sh good_test.sh none_test.sh' '5 passed, 1 failed, 1 skipped' 1 -c
done
make tests/bad_test.sh ''
expect 'bad_test.sh good_test.sh none_test.sh' '6 passed, 0 failed, 1 skipped' 0 -c
# What a test lacked is there by now.
rm build/logs/none_test.sh.done
expect none_test.sh '6 passed, 0 failed, 1 skipped' 0 -c
expect '' '6 passed, 0 failed, 1 skipped' 0 -c
# Without -c all are run, and nothing of it counts for a later -c.
expect "$all" '6 passed, 0 failed, 1 skipped' 0
expect "$all" '6 passed, 0 failed, 1 skipped' 0 -c
exit $failed
