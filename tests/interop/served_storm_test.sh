#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A mount, NBD connections and a machine write and read one volume at once, while it moves, grows, becomes a mirror and again linear, is limited, and
# whoever has it is stopped or killed: served_storm.py.
set -u
. "$(dirname "$0")/lib.sh"
export TENON
PLUGIN=$(realpath "${TENON%/*}/nbdkit-tenon-plugin.so" 2>/dev/null) || { echo 'the plugin is not built'; exit 77; }
BLOCK_IO=$(realpath "${TENON%/*}/tests/helpers/block_io" 2>/dev/null) || { echo 'block_io is not built'; exit 77; }
export PLUGIN BLOCK_IO
case $PLUGIN in *sanitize*) echo 'nbdkit has no sanitizer for a plugin that needs one'; exit 77 ;; esac
command -v python3 >/dev/null || { echo 'python3 is not installed'; exit 77; }
command -v nbdkit >/dev/null || { echo 'nbdkit is not installed'; exit 77; }
command -v fusermount3 >/dev/null || { echo 'fusermount3 is not installed (package fuse3)'; exit 77; }
[ -w /dev/fuse ] || { echo '/dev/fuse cannot be opened here'; exit 77; }
storm=$(realpath tests/interop/served_storm.py)
cd "$work" || exit 1
export TENON_DEVICES=$work/a.img:$work/b.img
cleanup() {
	! mountpoint -q m || fusermount3 -uz m
}
# round SEED SECONDS WHAT CREATE...
round() {
	local seed=$1 seconds=$2 what=$3
	shift 3
	rm -rf a.img b.img run s log
	truncate -s 200M a.img b.img
	"$TENON" vg create vg a.img b.img && "$TENON" lv create vg/l --size 40M "$@" || problem 'cannot make a volume'
	# shellcheck disable=SC2086
	PYTHONDONTWRITEBYTECODE=1 timeout 800 "$storm" "$seed" "$seconds" $what >storm.out 2>&1 ||
		problem "seed $seed, $what: $(cat storm.out) $(tail -n 30 log)"
	[ $failures = 0 ] || exit 1
}
mkdir m
for seed in $(seq ${TORTURE:+1}1); do
	round "$seed" $((${TORTURE:+6} + 6)) mild a.img
	round "$seed" $((${TORTURE:+6} + 6)) '' a.img
	round "$seed" $((${TORTURE:+4} + 4)) '' --stripes 2
done
echo 'one volume, and everybody at once'
