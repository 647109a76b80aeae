#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Defects that are put into copies of raid/ on purpose are found by the rebuild laboratory (tests/mutations); a few of them, or
# with TORTURE=1 all. Each must still apply. UPDATE=1 notes in which state each was found.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
few=(bitmap-set-late checkpoint-ahead dirty-late journal-replay-order loss-told-late ppl-entry-dropped q-logical-order stale-believed)
[ -f "$build/tests/helpers/lab_find.o" ] || { echo "$build/tests/helpers/lab_find is not built"; exit 77; }
[ "${TORTURE:-}" = 1 ] && few=()
flags=$(make -s print-flags BUILD="$build") && libs=$(make -s print-libs BUILD="$build") || exit 1
exec tests/mutations/try.py --build "$build" --flags "$flags" --libs "$libs" ${UPDATE:+--update} "${few[@]}"
