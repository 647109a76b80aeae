#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk that fails under a server: its image was cut. Who reads hears of an error, the log says which and where, and the listings count it.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
cd "$work" || exit 1
truncate -s 64M a.img
export TENON_DEVICES=$work/a.img
"$TENON" vg create vg a.img && "$TENON" lv create vg/l --size 40M || problem 'cannot make a volume'
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
server=$launched
json 'd["servers"][0]["exports"][0]["failed_requests"] == 0' "$TENON" status --json
truncate -s 20M a.img
expect 1 'nput/output error' "$TENON" copy vg/l out
wait_for grep -Eq '^tenon: warning: vg/l: reading [0-9]+ bytes at byte [0-9]+: ' serve.out || problem "not in the log: $(cat serve.out)"
json 'd["servers"][0]["exports"][0]["failed_requests"] > 0' "$TENON" status --json
truncate -s 64M a.img
kill "$server"
wait "$server" || problem "it ended with $?"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'what fails is told'
