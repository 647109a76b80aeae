#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A device that never answers (a file on a file system whose server is stopped): commands about anything else go on
# and name it; what may lie on it is not written to; nobody waits for ever, and no process is left that holds something.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/processes.sh
TENON=$(realpath "${TENON:-build/tenon}")
HELPERS=$(realpath "${BUILD:-build}/tests/helpers")
[ "$(id -u)" = 0 ] || { echo "mounting needs root"; exit 77; }
[ -w /dev/fuse ] || { echo "there is no /dev/fuse"; exit 77; }
work=$(mktemp -d) || exit 1
slow= server=
cleanup() {
	[ -z "$slow" ] || { kill -CONT "$slow"; kill "$slow"; }
	[ -z "$server" ] || kill "$server" 2>/dev/null
	wait
	umount -l "$work/mnt" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/devices TENON_DEVICES= TENON_DEVICE_TIMEOUT=60
failures=0
problem() { echo "FAILED line ${BASH_LINENO[1]}: $*"; failures=$((failures + 1)); }
# ends STATUS PATTERN COMMAND...: within the limits, with this status and message.
ends() {
	local status=$1 pattern=$2 said rc
	shift 2
	said=$(timeout -s KILL 60 "$@" 2>&1)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $said"
	grep -Eq -- "$pattern" <<<"$said" || problem "'$*' said: $said; expected: $pattern"
}

mkdir mnt
truncate -s 64M below.img a.img b.img p.img
"$HELPERS/slow_disk" below.img mnt >said 2>&1 &
slow=$!
for _ in $(seq 1200); do grep -qs ready said && break; sleep 0.05; done
grep -q ready said || { echo "no FUSE file system here: $(cat said)"; slow=; exit 77; }
hung=$work/mnt/disk
ln -s "$hung" link.img

export TENON_DEVICES=$work/p.img:$work/a.img:$hung
TENON_DEVICES="$work/p.img" "$TENON" vg create vgp p.img && "$TENON" lv create vgp/k --size 8M &&
	"$TENON" raid create r0 --level 1 a.img mnt/disk && "$TENON" vg create vgr md/r0 &&
	"$TENON" lv create vgr/k --size 8M || problem "making them"

# What hangs is waited for no longer; who serves it may have no processor for seconds before and after.
stop_process "$slow"
export TENON_DEVICE_TIMEOUT=1
# --- What lies elsewhere.
ends 0 'disk: does not answer' "$TENON" lv list
ends 0 'vgp' "$TENON" vg show vgp
ends 0 'disk: does not answer' "$TENON" lv create vgp/x1 --size 4M
ends 0 'md/r0|disk' "$TENON" raid list
ends 0 '' "$TENON" copy vgp/k /dev/null
ends 0 '' "$TENON" vg create vgb b.img --force
# A pattern, and a link, that lead to it among others.
ends 0 'vgp' "$TENON" lv list --device 'mnt/*' --device p.img
ends 0 'vgp' "$TENON" lv list --device '*.img'
# --- What lies on it, or would.
ends 1 'disk' "$TENON" lv create vgr/x --size 4M
ends 1 'does not answer' "$TENON" vg create vgh mnt/disk
ends 1 'does not answer' "$TENON" raid create r1 --level 1 b.img mnt/disk
ends 1 'disk' "$TENON" vg create vgh "$hung"
ends 1 'disk' "$TENON" lv create nowhere/x --size 4M
for verb in 'raid examine' 'pv show' 'pv check' 'pv dump' 'device add'; do
	ends 1 'does not answer' "$TENON" $verb "$hung"
done
ends 1 'does not answer' "$TENON" copy "$hung" /dev/null
ends 1 'does not answer' "$TENON" copy b.img mnt/disk --force
ends 0 'does not answer' "$TENON" device list
cmp -s a.img <("$TENON" copy a.img - 2>/dev/null) || problem "a.img cannot be read"

# --- A server is not held up by a new member that hangs.
truncate -s 64M c.img
TENON_DEVICES="$work/c.img" "$TENON" raid create r2 --level 1 c.img missing && export TENON_DEVICES="$work/c.img:$hung" && "$TENON" vg create vgc md/r2 && "$TENON" lv create vgc/k --size 4M --device c.img
"$TENON" serve vgc --socket-dir s --device c.img >served 2>&1 &
server=$!
for _ in $(seq 1200); do grep -q ready served && break; sleep 0.05; done
ends 1 'does not answer' "$TENON" raid add r2 "$hung" --device c.img
ends 0 'k ' "$TENON" lv list --device c.img
ends 0 '' "$TENON" lv create vgc/x2 --size 4M --device c.img
kill "$server"; wait "$server"; server=

# --- Nothing stays behind, and it is as it was when it answers again.
kill -CONT "$slow"
export TENON_DEVICE_TIMEOUT=60 TENON_DEVICES=$work/p.img:$work/a.img:$hung
ends 0 'clean' "$TENON" raid list
ends 0 '' "$TENON" lv create vgr/y --size 4M
[ "$failures" = 0 ] && echo passed
[ "$failures" = 0 ]
