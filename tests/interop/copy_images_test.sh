#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon copy` from and to qcow2, vmdk, vdi, vhdx and vhd, by name and by --format. Judges: cmp, du, qemu-img compare, check. Also what
# an image must not get at: other files that it names.
set -u
. "$(dirname "$0")/lib.sh"
for tool in qemu-img qemu-nbd; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
cd "$work" || exit 1
export TENON_DEVICES=$work/p.img
same() { cmp "$1" "$2" || problem "$1 and $2 differ"; }
sparse() { [ "$(du -k "$1" | cut -f1)" -le "$2" ] || problem "$1 takes $(du -k "$1" | cut -f1) KiB, expected $2 at most"; }
qemu_name() { [ "$1" = vhd ] && echo vpc || echo "$1"; }

truncate -s 96M p.img && truncate -s 40M raw
dd if=/dev/urandom of=raw bs=64K count=20 seek=100 conv=notrunc status=none
printf end | dd of=raw bs=1 seek=$((40 * 1048576 - 3)) conv=notrunc status=none
$TENON vg create vg p.img && $TENON lv create vg/x --size 40M || exit 1

# --- Both ways, with holes.
for format in qcow2 vmdk vdi vhdx vhd; do
	expect 0 '' $TENON copy raw "disk.$format"
	expect 0 'identical' qemu-img compare -f raw -F "$(qemu_name $format)" raw "disk.$format"
	sparse "disk.$format" 12288
	expect 0 '' $TENON copy "disk.$format" back && same raw back && sparse back 1600
	rm back
	expect 0 '' $TENON copy "disk.$format" vg/x --force
	expect 0 '' $TENON copy vg/x "other.$format"
	expect 0 'identical' qemu-img compare -f raw -F "$(qemu_name $format)" raw "other.$format"
	cmp raw <($TENON copy "disk.$format" -) || problem "$format to a pipe"
done
expect 0 'No errors' qemu-img check -f qcow2 disk.qcow2
expect 0 '' $TENON copy disk.vdi disk2.qcow2
expect 0 'identical' qemu-img compare -f raw -F qcow2 raw disk2.qcow2
expect 0 '' $TENON copy - stdin.qcow2 <raw
expect 0 'identical' qemu-img compare -f raw -F qcow2 raw stdin.qcow2
# Any size: the last sector is filled up.
head -c 100001 raw >odd
expect 0 '' $TENON copy odd odd.qcow2 && expect 0 '' $TENON copy odd.qcow2 odd.raw
cmp -n 100001 odd odd.raw && [ "$(stat -c %s odd.raw)" = 100352 ] || problem 'an odd size'

# --- The format is what the user or the name says, never what the bytes are.
cp disk.qcow2 guest.img
expect 1 'qcow2 image, not the bytes of a disk.*|--format qcow2 has it read as one' $TENON copy guest.img out
expect 0 '' $TENON copy --format qcow2 guest.img out && same raw out && rm out
expect 0 '' $TENON copy --format raw guest.img out && same guest.img out && rm out
expect 0 '' $TENON copy --raw disk.qcow2 bytes.qcow2 && same disk.qcow2 bytes.qcow2
expect 0 '' $TENON copy raw named --output-format vdi
expect 0 'identical' qemu-img compare -f raw -F vdi raw named
cp raw not.qcow2
expect 1 'does not begin as a qcow2' $TENON copy not.qcow2 out
cp disk.vdi not.qcow2
expect 1 'holds vdi, expected qcow2' $TENON copy not.qcow2 out
expect 2 'expected raw, qcow2' $TENON copy --format qcow3 raw out
expect 2 'one or the other' $TENON copy --raw --format qcow2 raw out
expect 1 'is no file' $TENON copy vg/x out --format qcow2
expect 1 'is no file' $TENON copy raw vg/x --output-format qcow2
expect 1 'nobody knows how long' bash -c "cat raw | $TENON copy - new.qcow2"
[ ! -e out ] && [ ! -e new.qcow2 ] || problem 'a refused copy left something'
expect 0 'would be made from disk.qcow2, 40 MiB' $TENON copy disk.qcow2 new.qcow2 --dry-run
expect 0 'qcow2 image on it would be lost' $TENON copy raw disk.qcow2 --dry-run
[ ! -e new.qcow2 ] || problem '--dry-run made a file'

# --- Other files. A secret of the user, which whoever made the image cannot read. (Making an image with a data file empties that.)
cp raw secret
qemu-img create -q -f qcow2 -b "$work/secret" -F raw evil.qcow2
qemu-img create -q -f qcow2 -o "data_file=$work/secret,data_file_raw=on" data.qcow2 40M
cp raw secret
qemu-img create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 40M
qemu-img create -q -f vmdk -b disk.vmdk -F vmdk child.vmdk
expect 1 "backing file $work/secret" $TENON copy evil.qcow2 out
expect 1 'data are in another file' $TENON copy data.qcow2 out
expect 1 'data are in other files' $TENON copy flat.vmdk out
expect 1 'has a parent' $TENON copy child.vmdk out
[ ! -e out ] || problem 'what an image must not read was copied'
for image in evil.qcow2 child.vmdk data.qcow2; do
	expect 0 '' $TENON copy --backing $image out && same raw out && rm out
done
expect 0 '' $TENON copy --backing flat.vmdk out && rm out

# --- What is there is not lost by mistake, and who has it is told.
expect 1 'holds a qcow2 image' $TENON copy raw disk.qcow2
expect 0 'identical' qemu-img compare -f raw -F qcow2 raw disk.qcow2
expect 1 'source and the destination' $TENON copy --format raw disk.qcow2 disk.qcow2 --output-format qcow2
expect 0 '' $TENON copy raw disk.qcow2 --force
qemu-nbd -t -f qcow2 -k "$work/held.sock" disk.qcow2 & pids+=($!)
wait_for listens held.sock
expect 1 'lock|in use|busy' $TENON copy disk.qcow2 out
expect 1 'lock|in use|busy' $TENON copy raw disk.qcow2 --force
kill "${pids[-1]}" && wait "${pids[-1]}"
expect 0 'identical' qemu-img compare -f raw -F qcow2 raw disk.qcow2
cp disk.qcow2 broken.qcow2 && printf '\377\377\377\377' | dd of=broken.qcow2 bs=1 seek=40 conv=notrunc status=none
expect 1 'broken.qcow2: qemu-nbd: .*L1 table' $TENON copy broken.qcow2 out
# What it warns of is not why: nobody uses this one.
qemu-img create -q -f qcow2 empty.qcow2 0
expect 1 'empty.qcow2: it has 0 bytes' $TENON copy empty.qcow2 out
[ ! -e out ] || problem 'a failed copy left a file'

# --- Nothing is left running, however it ends: kill -9 of ours in the middle, and an interruption, which removes the new file.
truncate -s 3G large && dd if=/dev/urandom of=large bs=1M count=200 status=none
python3 - $TENON <<-'PYTHON' || problem 'ended in the middle: something was left'
	import os, signal, subprocess, sys, time
	def children(pid):
	    try:
	        return [int(x) for x in open(f"/proc/{pid}/task/{pid}/children").read().split()]
	    except (FileNotFoundError, ProcessLookupError):
	        return []
	def is_nbd(pid):
	    try:
	        return b"qemu-nbd" in open(f"/proc/{pid}/cmdline", "rb").read()
	    except (FileNotFoundError, ProcessLookupError):
	        return False
	def gone(pid):
	    try:
	        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
	    except (FileNotFoundError, ProcessLookupError):
	        return True
	for number, left in ((signal.SIGKILL, True), (signal.SIGINT, False)):
	    for attempt in range(20):
	        p = subprocess.Popen([sys.argv[1], "copy", "large", "half.qcow2", "--force"], stderr=subprocess.DEVNULL,
	                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
	        seen = []
	        while p.poll() is None and not any(is_nbd(c) for c in seen):
	            seen = [c for c in children(p.pid) if not gone(c)]
	        p.send_signal(number)
	        if p.wait(60) == -number:
	            break
	    else:
	        sys.exit("it was always faster")
	    for _ in range(600):
	        if all(gone(c) for c in seen):
	            break
	        time.sleep(0.1)
	    else:
	        sys.exit("a child is left")
	    if os.path.exists("half.qcow2") != left:
	        sys.exit(f"half.qcow2 after {number}")
	    if left:
	        os.unlink("half.qcow2")
PYTHON

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
