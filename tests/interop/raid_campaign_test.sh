#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays of random levels, shapes and sizes, whose servers and commands are killed at any moment, under NBD clients and changes of the array:
# nothing that was flushed is lost (raid_campaign.py). TORTURE=1: 200 kills; KILLS=N and SEED=N others.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
PLUGIN=$(realpath "${TENON%/*}/nbdkit-tenon-plugin.so" 2>/dev/null) || { echo 'the plugin is not built'; exit 77; }
case $PLUGIN in *sanitize*) echo 'nbdkit has no sanitizer for a plugin that needs one'; exit 77 ;; esac
PATH=$PATH:/usr/sbin:/sbin
for tool in nbdkit mdadm python3; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
cd "$work" || exit 1
export TENON_DEVICES="$work/*.img"
kills=5
[ -z "${TORTURE:-}" ] || kills=200
python3 "$here/raid_campaign.py" "$TENON" "$PLUGIN" "${KILLS:-$kills}" "${SEED:-1}"
