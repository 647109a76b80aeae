#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A server that changes a group again and again for months has the memory that it had: volumes are created, changed and removed, 200 times;
# TORTURE=1: 10,000 times.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
# In memory: a disk would have to flush 150,000 times for the long form.
. tests/place.sh
work=$(mktemp -d -p "$(place 64)") || exit 1
server=
trap '[ -z "$server" ] || kill -9 $server; rm -rf "$work"' EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state TENON_DEVICES=$work/a.img TENON_ARCHIVE_DIR=
truncate -s 64M a.img
"$TENON" vg create vg a.img --extent-size 1M && "$TENON" lv create vg/stays --size 4M || exit 1
# What is large is returned when it is freed. A group's memory grows in steps of 16, 64 and 256 KiB and 1 MiB until 64 commits later all of it is freed:
# the last step comes rarely here, once after 7,000 changes, and the heap of a thread keeps it (of 1,860 KiB 160 were in use then).
GLIBC_TUNABLES=glibc.malloc.mmap_threshold=65536 "$TENON" serve vg --socket-dir s >out 2>err &
server=$!
for _ in $(seq 600); do ! grep -q ready out || break; sleep 0.1; done
times=1000
[ -z "${TORTURE-}" ] || times=10000
python3 - $server $times run/serve-*.sock <<'PYTHON'
import json
import socket
import sys

pid, times, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
peer = socket.socket(socket.AF_UNIX)
peer.connect(path)
lines = peer.makefile("rw")


def call(method, **params):
    lines.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
    lines.flush()
    answer = json.loads(lines.readline())
    if "error" in answer:
        sys.exit(f"{method} {params}: {answer['error']}")


def change(number):
    name = f"vg/v{number % 7}"
    call("lv.create", name=name, bytes=2 << 20, tags=[f"tag{number}"])
    # Now and then, so that the long form ends on a busy machine.
    if number % 4 == 0:
        call("lv.rename", name=name, new_name="w")
        call("lv.resize", name="vg/w", size=4 << 20)
        name = "vg/w"
    call("lv.remove", name=name)


def memory():
    with open(f"/proc/{pid}/status") as status:
        return [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]


def least():
    """In 400 changes: it goes up and down by some 300 KiB."""
    samples = []
    for number in range(400):
        change(number)
        samples.append(memory())
    return min(samples)


for number in range(400):
    change(number)
before = least()
for number in range(times):
    change(number)
after = least()
print(f"{before} KiB after 800 volumes, {after} KiB after {times} more")
# A tenth of a KiB for each change would be a leak.
sys.exit(after - before > 256 + times // 40)
PYTHON
rc=$?
[ $rc = 0 ] || { echo "the memory has grown"; cat err; exit 1; }
kill $server && wait $server || { echo "the server ended with $?"; exit 1; }
server=
