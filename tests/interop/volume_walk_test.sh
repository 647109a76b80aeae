#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A random walk over one group, by us and by the real lvm2 in turn: both say the same of it after each step.
# TORTURE=1 goes 400 steps from three seeds; else 200 steps. SEED=N repeats one.
set -eu
cd "$(dirname "$0")/../.."
walk=$PWD/tests/interop/volume_walk.py
tenon=${TENON:-$PWD/${BUILD:-build}/tenon}
for tool in fullreport losetup; do
	[ $tool = fullreport ] && tool=lvm
	command -v $tool >/dev/null || { echo "$tool is not installed: not asked"; exit 77; }
done
[ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1 || { echo "lvm2 wants root and loop devices: not asked"; exit 77; }
work=$(mktemp -d)
# The walk may be ended in the middle of a step.
trap 'for image in "$work"/*.img; do losetup -j "$image" | cut -d: -f1 | xargs -r losetup -d; done; rm -rf "$work"' EXIT
cd "$work"
mkdir run
export LC_ALL=C TENON_RUNTIME_DIR=$work/run TENON_STATE_DIR=$work/state TENON_ARCHIVE=off LVM_SUPPRESS_FD_WARNINGS=1
steps=200 seeds=${SEED:-1}
[ "${TORTURE:-0}" = 0 ] || { steps=400; seeds=${SEED:-1 2 3}; }
for seed in $seeds; do python3 "$walk" "$tenon" "${STEPS:-$steps}" "$seed"; done
