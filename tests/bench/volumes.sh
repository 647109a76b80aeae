#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A group of many volumes on many PVs: what list, show, create, extend and remove cost the processor, beside lvm2's tools on the same group,
# in turn; and with a server that has it (volumes_bench.py). As root: lvm2 wants loop devices, which it alone uses.
set -u
if [ -z "${KEPT:-}" ]; then
	KEPT=1 "$0" "$@" | "$(dirname "$0")/keep.py" volumes
	exit "${PIPESTATUS[0]}"
fi
cd "$(dirname "$0")/../.." || exit 1
if [ "$(id -u)" != 0 ] || ! losetup -f >/dev/null 2>&1 || ! command -v lvm >/dev/null; then
	echo 'not measured: it wants lvm2, root and loop devices'
	exit 0
fi
TENON=$(realpath "${TENON:-build/tenon}")
. tests/place.sh
work=$(mktemp -d -p "$(place 512)") || exit 1
end() {
	[ ! -e "$work/loops" ] || xargs -r losetup -d <"$work/loops"
	rm -rf "$work"
}
trap end EXIT
python3 tests/bench/volumes_bench.py "$TENON" "$work" "$@"
