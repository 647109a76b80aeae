#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The dirty log (VHOST_USER_PROTOCOL_F_LOG_SHMFD): a front-end that is not ours compares all its memory with what it was before frames came and went. Each page that is
# not the same is in the log, and none else but those of used rings and used buffers: of mergeable buffers, with and without event indexes and indirect tables.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=${TENON:-$PWD/${BUILD:-build}/tenon}
here=$PWD/tests/interop
python3 -c 'import os; os.eventfd' 2>/dev/null || { echo "Python has no eventfds (3.10)"; exit 77; }
lab=$(mktemp -d) || exit 1
export TENON_RUNTIME_DIR=$lab/runtime
"$TENON" switch run lab --socket-dir "$lab" --port e=vhost-user --port "x=qemu-dgram,remote=$lab/x.peer" >"$lab/switch.out" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait; rm -rf "$lab"' EXIT
for _ in $(seq 600); do grep -q ready "$lab/switch.out" && break; sleep 0.1; done
failed=0
for features in 0x8000 0x20008000 0x30008000; do
	rm -f "$lab/x.peer"
	timeout 800 python3 "$here/vhost_user_log.py" "$lab/e.sock" "$lab/x.peer" "$lab/x.sock" $features || failed=1
done
[ $failed = 0 ] || tail -n 5 "$lab/switch.out"
exit $failed
