#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Workers beside each other under ThreadSanitizer: messages and calls, a group's changes computed elsewhere, a server with two data workers, and a
# mount whose threads read and write by leases. TORTURE=1: all unit tests but those that run more fibers at once than it can count, in their short form:
# all takes ten times as long here, and more than one thread is not what the long forms are about.
set -u
cd "$(dirname "$0")/.." || exit 1
build=build-sanitize-thread
make() { command make --no-print-directory SANITIZE=thread CFLAGS='-O1 -g' -j2 "$@"; }
echo 'int main(void) { return 0; }' >"${TMPDIR:-/tmp}/tsan-$$.c"
gcc -fsanitize=thread -o "${TMPDIR:-/tmp}/tsan-$$" "${TMPDIR:-/tmp}/tsan-$$.c" 2>/dev/null && "${TMPDIR:-/tmp}/tsan-$$"
works=$?
rm -f "${TMPDIR:-/tmp}/tsan-$$" "${TMPDIR:-/tmp}/tsan-$$.c"
[ $works = 0 ] || { echo "ThreadSanitizer does not work here"; exit 77; }

tests="lib/fiber/worker vswitch/ports vswitch/port_vhost_user vswitch/port_vde vswitch/bond_threads vswitch/protocol vswitch/snooping_switch vswitch/mac_table lib/block/view lib/block/lease volume/compute volume/views lib/virtio/vhost_user_blk_queues lib/virtio/virtqueue_threads"
limit=1200
[ -z "${TORTURE:-}" ] || limit=1800 tests=$(find tests/unit -name '*_test.c' ! -path '*/fiber/fiber_test.c' -printf '%P\n' | sed 's/_test.c$//')
# shellcheck disable=SC2086 # a list
make build $(printf "$build/tests/unit/%s_test " $tests) >/dev/null || exit 1
reports=$(mktemp -d) || exit 1
trap 'rm -rf "$reports"' EXIT
# Devices are looked at by threads of a process that was forked (lib/fiber/aside.h).
export TSAN_OPTIONS="log_path=$reports/report die_after_fork=0 exitcode=66"
failed=0
for test in $tests; do
	timeout $limit env -u TORTURE $build/tests/unit/"${test}"_test || { echo "FAILED: $test"; failed=1; }
done
BUILD=$build TENON=$build/tenon SHORT=1 timeout $limit tests/interop/serve_workers_test.sh || failed=1
# Without FUSE there is none.
BUILD=$build TENON=$build/tenon timeout $limit tests/interop/mount_direct_test.sh || [ $? = 77 ] || failed=1
if ls "$reports"/report* >/dev/null 2>&1; then
	cat "$reports"/report*
	failed=1
fi
exit $failed
