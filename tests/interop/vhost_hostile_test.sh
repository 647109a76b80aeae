#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Hostile vhost-user peers, as clients and as servers, of a switch with two threads, and of a disk's server: messages of any kind with files of any kind, also cut; memory that is
# shortened in use; huge pages that there are not; files that nobody takes, and that have whoever closes them wait; queues that come and go in a storm; full eventfds; peers that are stopped, at each message that
# sets a device up; regions that overlap, wrap, or cannot be written to; indexes that jump; connections in a storm; queue pairs that come and go. Each harms its own
# port: frames of others pass, and no descriptor or mapping is left. TORTURE=1: more of them, from other seeds.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/processes.sh
TENON=${TENON:-$PWD/${BUILD:-build}/tenon}
here=$PWD/tests/interop helpers=$PWD/${BUILD:-build}/tests/helpers
[ -x "$helpers/blk_server" ] || { echo "$helpers/blk_server is not built"; exit 77; }
python3 -c 'import os; os.eventfd' 2>/dev/null || { echo "Python has no eventfds (3.10)"; exit 77; }
lab=$(mktemp -d) || exit 1
export TENON_RUNTIME_DIR=$lab/runtime
cd "$lab" || exit 1
"$TENON" switch run lab --threads 2 --socket-dir "$lab" --port e=vhost-user,queues=4 --port "f=vhost-user:$lab/f.peer,client,queues=4" \
	--port "x=qemu-dgram,remote=$lab/x.peer" --port "y=qemu-dgram,remote=$lab/y.peer" --port s=qemu-stream >switch.out 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait; cd /; rm -rf "$lab"' EXIT
for _ in $(seq 600); do grep -q ready switch.out && break; sleep 0.1; done
failed=0 rounds=48
[ -z "${TORTURE:-}" ] || rounds=2000
python3 "$here/vhost_hostile.py" $pid "$lab" "${SEED:-1}" "${ROUNDS:-$rounds}" || failed=1
kill -TERM $pid && wait $pid || { echo "FAILED: the switch's exit status was $?"; failed=1; }
[ $failed = 0 ] || tail -n 20 switch.out

# The same of a disk, and regions for chains in flight, whose next client finds it as it was.
rm -f e.sock
truncate -s 32M disk.img
"$helpers/blk_server" e.sock file disk.img >server.out 2>&1 &
pid=$!
for _ in $(seq 600); do listens e.sock && break; sleep 0.1; done
python3 "$here/vhost_hostile.py" $pid "$lab" "${SEED:-1}" "${ROUNDS:-$rounds}" "$helpers/block_io" || failed=1
kill -TERM $pid && wait $pid || { echo "FAILED: the server's exit status was $?"; tail -n 20 server.out; failed=1; }
exit $failed
