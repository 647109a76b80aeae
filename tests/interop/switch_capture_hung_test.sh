#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A capture to a file system that does not answer any more: frames go on, and so do other captures; it goes on, too, when that answers again.
. "$(dirname "$0")/switch_lib.sh"
HELPERS=$(realpath "$(dirname "$0")/../../${BUILD:-build}/tests/helpers")
lab_enter "$@"
[ -w /dev/fuse ] || lab_skip "there is no /dev/fuse"
mkdir mnt
: >image
lab_background "$HELPERS/slow_disk" image mnt >mounted 2>&1
slow=${LAB_PIDS[-1]}
for _ in $(seq 600); do grep -q . mounted && break; sleep 0.1; done
grep -q ready mounted || lab_skip "no FUSE file system here: $(cat mounted)"

lab_switch lab --port a=tap:tapa --port b=tap:tapb
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
lab_reach pa 10.0.0.2
"$TENON" switch capture lab -w mnt/disk --keep 2>said || lab_fail "$(cat said)"
stop_process "$slow"
lab_background "$TENON" switch capture lab -w other.pcapng --keep
other=${LAB_PIDS[-1]}
lab_reach pa 10.0.0.2
for _ in $(seq 600); do kill -0 "$other" 2>/dev/null || break; sleep 0.1; done
kill -0 "$other" 2>/dev/null && lab_fail "another capture waits for it"
# One that is to go there waits itself, or its file does, but no frame.
lab_background "$TENON" switch capture lab -w mnt/disk --keep
another=${LAB_PIDS[-1]}
sleep 1
ip netns exec pa busybox ping -c 3 -W 30 10.0.0.2 >ping || lab_fail "frames wait for a disk: $(cat ping)"
kill -CONT "$slow"
wait "$another" && lab_fail "two captures write one file"
"$TENON" switch show lab | grep -q "^capture 1, .*/mnt/disk: recording" || lab_fail "$("$TENON" switch show lab)"
lab_end || lab_fail "the switch ended with $?"
lab_done
