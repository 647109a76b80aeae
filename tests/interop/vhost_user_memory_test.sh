#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Guest memory that is a file of btrfs, also in a subvolume and in a mount namespace that the switch is not in (libvirt's QEMU with memory-backend-file): it is taken, as
# that of a tmpfs is there, and not one of an overlay. One of a FUSE file system never is: vhost_hostile_test.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=${TENON:-$PWD/${BUILD:-build}/tenon}
here=$PWD/tests/interop
python3 -c 'import os; os.eventfd' 2>/dev/null || { echo "Python has no eventfds (3.10)"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "a file system can be mounted by root only"; exit 77; }
unshare -m true 2>/dev/null || { echo "mount namespaces cannot be made here"; exit 77; }
command -v mkfs.btrfs >/dev/null || { echo "mkfs.btrfs (package btrfs-progs) is not installed"; exit 77; }
lab=$(mktemp -d) || exit 1
export TENON_RUNTIME_DIR=$lab/runtime
"$TENON" switch run lab --socket-dir "$lab" --port e=vhost-user --port f=vhost-user >"$lab/switch.out" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait; rm -rf "$lab"' EXIT
for _ in $(seq 600); do grep -q ready "$lab/switch.out" && break; sleep 0.1; done
truncate -s 200M "$lab/disk"
mkfs.btrfs -q "$lab/disk" >"$lab/mkfs" 2>&1 || { cat "$lab/mkfs"; exit 1; }
mkdir "$lab/m" "$lab/t"
unshare -m --propagation private bash -eu -c '
	mount -o loop "$1/disk" "$1/m" || exit 77
	mount -t tmpfs none "$1/t"
	btrfs subvolume create "$1/m/sub" >/dev/null
	for file in "$1/t/memory" "$1/m/memory" "$1/m/sub/memory"; do
		python3 "$2/vhost_user_memory.py" "$1/e.sock" "$file" || { echo "FAILED: $file"; exit 1; }
	done
	# Of an overlay there, which a user can mount, a file may be one of FUSE below, whatever it tells of itself.
	mkdir "$1/m/up" "$1/m/work" "$1/o"
	mount -t overlay none -o "lowerdir=$1/t,upperdir=$1/m/up,workdir=$1/m/work" "$1/o" || exit 0
	! python3 "$2/vhost_user_memory.py" "$1/e.sock" "$1/o/new" 2>/dev/null || { echo "FAILED: an overlay"; exit 1; }' - "$lab" "$here"
rc=$?
[ $rc = 0 ] || tail -n 3 "$lab/switch.out"
[ $rc != 77 ] || echo "btrfs cannot be mounted here"
exit $rc
