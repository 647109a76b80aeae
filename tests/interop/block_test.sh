#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# lib/block's files against other readers and writers of the same image: dd, cmp, qemu-img, qemu-io,
# on the work folder's file system, on tmpfs, and (as root) on a loop device with 4096-byte sectors, a
# file system on it, where direct I/O wants 4096 bytes for a device of 512-byte blocks.
set -u
cd "$(dirname "$0")/../.."
io=$(pwd)/${BUILD:-build}/tests/helpers/block_io
. tests/place.sh
[ -x "$io" ] || { echo "$io is not built"; exit 77; }
for tool in qemu-img qemu-io; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done

work=$(mktemp -d)
shm=
loops=()
cleanup() {
	exec 3>&- 2>/dev/null
	mountpoint -q "$work/mnt" && umount "$work/mnt"
	for loop in "${loops[@]}"; do losetup -d "$loop"; done
	rm -rf "$work" "$shm"
}
trap cleanup EXIT
cd "$work"
failures=0
fail() { echo "FAILED ($engine): $*"; failures=$((failures + 1)); }
expect() { # WHAT COMMAND...
	local what=$1; shift
	"$@" >out 2>&1 || { cat out; fail "$what"; }
}
refuse() { # WHAT TEXT COMMAND...
	local what=$1 text=$2; shift 2
	if "$@" >out 2>&1; then fail "$what: was not refused"
	elif ! grep -q -- "$text" out; then cat out; fail "$what: no '$text' in the message"; fi
}

# Writes through one, reads through the other. $1 is a file of 8 MiB or more, or a device.
both_ways() {
	local f=$1
	expect "patterns" "$io" "$f" write 0 8M 1 verify 0 8M 1 fua 4096 4096 2 verify 4096 4096 2 \
		verify 8K 8184K 1 flush
	expect "fill" "$io" "$f" fill 1M 128K 0xa5 flush
	expect "qemu-io reads ours" qemu-io -f raw -c 'read -P 0xa5 1M 128K' "$f"
	expect "dd reads ours" bash -c "dd if='$f' bs=128K skip=8 count=1 status=none |
		cmp - <(head -c 128K /dev/zero | tr '\0' '\245')"
	expect "qemu-io writes" qemu-io -f raw -c 'write -P 0x5a 2M 68K' -c 'write -z 3M 64K' -c flush "$f"
	expect "we read qemu-io's" "$io" "$f" expect 2M 68K 0x5a expect 3M 64K 0
	dd if=/dev/zero bs=4096 count=1 status=none | tr '\0' '\7' |
		dd of="$f" bs=4096 seek=1000 conv=notrunc,fsync status=none
	expect "we read dd's" "$io" "$f" expect 4096000 4096 7
	expect "zero and discard" "$io" "$f" zero 4M 1M expect 4M 1M 0 unmap 5M 1M expect 5M 1M 0 \
		discard 6M 1M verify 7M 1M 1 flush
	expect "qemu-io sees the zeroes" qemu-io -f raw -c 'read -P 0 4M 2M' "$f"
	expect "a slice" "$io" -s "$f" fill 0 4096 9 expect 0 4096 9
	expect "qemu-io sees the slice's" qemu-io -f raw -c 'read -P 9 64K 4K' "$f"
}

# Requests of single sectors, where the file system may want more.
sectors() {
	expect "sectors" "$io" "$1" write 0 1M 3 write 512 512 4 write 3584 1024 5 zero 5120 512 \
		verify 0 512 3 verify 512 512 4 verify 1K 2560 3 verify 3584 1024 5 verify 4608 512 3 \
		expect 5120 512 0 verify 5632 60K 3
	expect "concurrent changes within one unit" "$io" "$1" storm 7 400
	expect "the same without O_DIRECT" "$io" -b "$1" storm 8 400
}

odd_end() { # a file whose end lies within a unit of direct I/O
	rm -f "$1"
	expect "odd size" "$io" -c 1049088 "$1" write 0 1049088 6 verify 0 1049088 6 fill 1048064 1K 8 \
		expect 1048064 1K 8 zero 1048576 512 expect 1048576 512 0 flush
	[ "$(stat -c %s "$1")" = 1049088 ] || fail "odd size: the file is now $(stat -c %s "$1") bytes long"
	expect "qemu-io reads the end" qemu-io -f raw -c 'read -P 8 1048064 512' -c 'read -P 0 1048576 512' "$1"
}

holes() {
	rm -f "$1"
	expect "create" "$io" -c 64M "$1"
	[ "$(du -k "$1" | cut -f1)" -le 64 ] || fail "a new image takes space"
	expect "write two pieces" "$io" "$1" write 8M 1M 1 write 40M 1M 2 flush
	[ "$(du -k "$1" | cut -f1)" -le 2176 ] || fail "holes were not kept"
	"$io" "$1" map >ours
	qemu-img map -f raw --output=json "$1" |
		python3 -c 'import json,sys
for e in json.load(sys.stdin): print(e["start"], e["length"], "zero" if e["zero"] else "data")' >theirs
	cmp ours theirs || { diff ours theirs; fail "map differs from qemu-img map"; }
	expect "discard" "$io" "$1" discard 8M 1M unmap 40M 1M expect 8M 1M 0 flush
	[ "$(du -k "$1" | cut -f1)" -le 64 ] || fail "discard gave nothing back"
	expect "zeroes keep space" "$io" "$1" write 0 1M 1 zero 0 1M expect 0 1M 0 flush
}

# Runs "$@" while the commands in $1 hold the image, by way of a FIFO that keeps them waiting.
while_held() {
	local holder=$1 pid; shift
	rm -f fifo held; mkfifo fifo
	bash -c "exec $holder" <fifo >held 2>&1 &
	pid=$!
	exec 3>fifo
	for _ in $(seq 1200); do grep -qs 'holding\|qemu-io>' held && break; sleep 0.05; done
	"$@"
	exec 3>&-
	wait $pid
}

locks() {
	local f=$work/image qio="qemu-io -f raw"
	truncate -s 1M image
	our_writer() {
		refuse "QEMU reads what we write" "lock" $qio -r -c 'read 0 512' "$f"
		refuse "QEMU writes what we write" "lock" $qio -c 'write 0 512' "$f"
		refuse "we read what we write" "in use" "$io" -l -r "$f" info
		refuse "we write what we write" "in use" "$io" -l "$f" info
	}
	while_held "$io -l $f hold" our_writer
	our_reader() {
		expect "QEMU reads what we read" $qio -r -c 'read 0 512' "$f"
		refuse "QEMU writes what we read" "lock" $qio -c 'write 0 512' "$f"
		expect "we read what we read" "$io" -l -r "$f" info
		refuse "we write what we read" "in use" "$io" -l "$f" info
	}
	while_held "$io -l -r $f hold" our_reader
	their_writer() {
		refuse "we read what QEMU writes" "in use" "$io" -l -r "$f" info
		refuse "we write what QEMU writes" "in use" "$io" -l "$f" info
	}
	while_held "$qio $f" their_writer
	their_reader() {
		expect "we read what QEMU reads" "$io" -l -r "$f" info
		refuse "we write what QEMU reads" "in use" "$io" -l "$f" info
	}
	while_held "$qio -r $f" their_reader
}

bad_paths() {
	truncate -s 1000 odd; mkfifo pipe
	refuse "missing" "No such file" "$io" nothing info
	refuse "directory" "a directory" "$io" "$work" info
	refuse "directory" "a directory" "$io" -r "$work" info
	refuse "FIFO" "a FIFO" "$io" pipe info
	refuse "odd size" "1000 bytes, expected a multiple of 512" "$io" odd info
	refuse "create of odd size" "multiple of 512" "$io" -c 1000 new info
	[ ! -e new ] || fail "a refused creation left a file"
	rm -f odd pipe
}

for engine in uring aio; do
	export TENON_ENGINE=$engine
	"$io" -c 1M probe info >out 2>&1 || { echo "engine $engine: $(tail -n 1 out)"; continue; }
	truncate -s 64M plain
	both_ways plain; sectors plain; odd_end odd-end; holes holes; locks; bad_paths
	rm -f plain

	if shm=$(PLACES=/dev/shm place 256) && shm=$(mktemp -d "$shm/tenon.XXXXXX"); then
		truncate -s 64M "$shm/plain"
		both_ways "$shm/plain"; sectors "$shm/plain"; odd_end "$shm/odd-end"; holes "$shm/holes"
		rm -rf "$shm"
	fi

	truncate -s 64M backing
	if [ "$(id -u)" != 0 ] || ! loop=$(losetup -f --show -b 4096 backing 2>out); then
		echo "no loop devices here: those tests were left out"
		continue
	fi
	loops+=("$loop")
	expect "4096-byte device" bash -c "'$io' $loop info | grep 'size=67108864 logical=4096'"
	both_ways "$loop"
	refuse "sectors of a 4096-byte device" "Invalid argument" "$io" "$loop" write 512 512 1
	if mkfs.ext4 -q -b 4096 "$loop" && mkdir -p mnt && mount "$loop" mnt; then
		refuse "a mounted device" "resource busy" "$io" "$loop" info
		expect "a mounted device may be read" "$io" -r "$loop" info
		truncate -s 16M mnt/plain
		expect "512-byte blocks over direct I/O of 4096" \
			bash -c "'$io' mnt/plain info | grep 'logical=512 .* direct=1 unit=4096'"
		both_ways mnt/plain; sectors mnt/plain; odd_end mnt/odd-end
		umount mnt
	fi
	losetup -d "$loop"
	loops=()
done
[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
