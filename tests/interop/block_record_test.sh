#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Logs in the format of dm-log-writes, ours and others': QEMU's blklogwrites writes one that we replay,
# and goes on with one that we began; xfstests' replay-log replays ours (if $REPLAY_LOG or the PATH has it).
set -u
cd "$(dirname "$0")/../.."
io=$(pwd)/${BUILD:-build}/tests/helpers/block_io
[ -x "$io" ] || { echo "$io is not built"; exit 77; }
command -v qemu-io >/dev/null || { echo "qemu-io is not installed"; exit 77; }
replay_log=${REPLAY_LOG:-$(command -v replay-log)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
run() { "$@" >out 2>&1 || { cat out; fail "$*"; }; }

qemu() { # DISK LOG OPTION COMMANDS...
	local options="driver=blklogwrites,$3"
	options+=",file.driver=file,file.filename=$1,log.driver=file,log.filename=$2"
	shift 3
	local commands=()
	for command; do commands+=(-c "$command"); done
	run qemu-io --image-opts "$options" "${commands[@]}"
	! grep -qi 'fail\|error' out || { cat out; fail "qemu-io on a log"; }
}

# QEMU's log, replayed by us.
truncate -s 8M disk; truncate -s 8M log
qemu disk log log-sector-size=512 'write -P 1 0 64k' flush 'write -P 2 -f 4k 512' 'write -P 3 1M 300k' \
	'discard 16k 8k' 'write -z 1M 4k' flush
truncate -s 8M target
run "$io" target replay log ''
run cmp disk target

# Ours, gone on with by QEMU, replayed by us.
rm -f disk log target
truncate -s 8M disk target
run "$io" -R log disk write 0 1M 7 flush fua 4096 4096 8 mark half zero 64K 64K discard 128K 64K
qemu disk log log-append=on 'write -P 9 2M 64k' flush
run "$io" target replay log ''
run cmp disk target
rm target; truncate -s 8M target
run "$io" target replay log half
run "$io" target verify 4096 4096 8 verify 64K 192K 7 expect 2M 64K 0

if [ -n "$replay_log" ]; then
	rm target; truncate -s 8M target
	run "$replay_log" --log log --replay target
	run cmp disk target
	rm target; truncate -s 8M target
	run "$replay_log" --log log --replay target --end-mark half
	run "$io" target verify 4096 4096 8 verify 64K 192K 7 expect 2M 64K 0
else
	echo "replay-log is not installed: that part was left out"
fi
[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
