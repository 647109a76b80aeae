#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon vm run` with guests of a few instructions: how it ends and with which exit status, signals at any
# moment, consoles whose readers pause or go away, terminals that are hung up or taken away, disks that are
# refused. Needs /dev/kvm, a slow one too.
set -eu
cd "$(dirname "$0")/../.."
tenon=${TENON:-$PWD/build/tenon}
[ -w /dev/kvm ] || { echo "there is no /dev/kvm here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout -k 5 850 python3 "$PWD/tests/interop/vm_run.py" "$tenon" "$work"
