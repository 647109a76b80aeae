#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Generated names, tags, sizes and metadata, given to the real lvm2 and to us: what we take it takes, and what it
# refuses we refuse. TORTURE=1 tries more; SEED chooses which.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
tenon=${TENON:-$root/${BUILD:-build}/tenon}
for tool in lvm losetup python3; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
[ "$(id -u)" = 0 ] || { echo "lvm2 wants root"; exit 77; }
losetup -f >/dev/null 2>&1 || { echo "there are no loop devices here"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir run
export LVM_SUPPRESS_FD_WARNINGS=1 TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/devices LC_ALL=C.UTF-8
unset TENON_DEVICES
count=40
[ -z "${TORTURE:-}" ] || count=600
python3 "$root/tests/interop/volume_differential.py" "$tenon" "$count" "${SEED:-1}"
