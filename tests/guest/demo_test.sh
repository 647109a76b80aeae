#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The demo, as `make demo` runs it, without a terminal: it must hold to the end, say its proofs, and
# leave nothing behind.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
mkdir "$WORK/tmp"
status=0
TMPDIR=$WORK/tmp "$TOP/tests/demo/demo.sh" >"$WORK/said" 2>&1 || status=$?
cat "$WORK/said"
[ $status = 0 ] || exit $status

said() { grep -Eq "$1" "$WORK/said" || rig_fail "the demo did not say: $1"; }
said 'engine: (our own monitor|QEMU)'
said 'ping 10.0.0.2: .*min/avg/max'
said 'the new disk of 768 MiB is in sync .* MB/s'
said 'check of the mirror: mismatch_cnt 0'
said 'volume one: ext4 is clean, [0-9]+ files'
said 'volume two: ext4 is clean, [0-9]+ files'
said 'All of it held'
! grep -q $'\e' "$WORK/said" || rig_fail "there are colours, though this is no terminal"
[ -z "$(ls -A "$WORK/tmp")" ] || rig_fail "the demo left files behind: $(ls -A "$WORK/tmp")"
if pgrep -f "$WORK/tmp" >"$WORK/left"; then rig_fail "the demo left processes behind: $(cat "$WORK/left")"; fi
