#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon copy`: holes on every way, odd sizes, formats that are not the bytes of a disk, signals, media with errors,
# and sources and destinations that change or are one. Judges: cmp, du, qemu-img, ddrescuelog.
set -u
. "$(dirname "$0")/lib.sh"
helpers=$(realpath "$(dirname "$TENON")/tests/helpers")
cd "$work" || exit 1
export TENON_DEVICES=$work/p.img
same() { cmp "$1" "$2" || problem "$1 and $2 differ"; }
sparse() { [ "$(du -k "$1" | cut -f1)" -le "$2" ] || problem "$1 takes $(du -k "$1" | cut -f1) KiB, expected $2 at most"; }

# --- Holes: files, pipes, redirections both ways, an end in the middle of a sector.
truncate -s 64M p.img
expect 0 '' $TENON vg create vg p.img
expect 0 '' $TENON lv create vg/x --size 32M
truncate -s 20M even && truncate -s 20971519 odd
for file in even odd; do printf a | dd of=$file bs=1 seek=10000000 conv=notrunc status=none; done
for file in even odd; do
	expect 0 '' $TENON copy $file to.file
	cat $file | $TENON copy - to.pipe || problem "from a pipe: $?"
	$TENON copy - to.stdin <$file || problem "from a redirected file: $?"
	$TENON copy $file - >to.stdout || problem "to a redirected file: $?"
	cat $file | $TENON copy - - >to.both || problem "from a pipe to a redirected file: $?"
	printf head >to.appended
	$TENON copy $file - >>to.appended || problem "to the end of a file: $?"
	for copy in to.file to.pipe to.stdin to.stdout to.both; do same $file $copy && sparse $copy 64; done
	cmp <(printf head; cat $file) to.appended && sparse to.appended 64 || problem "appended to a file"
	cmp $file <($TENON copy $file - | cat) || problem "to a pipe"
	rm to.*
done
# What was there before does not shine through.
head -c 20M /dev/urandom >old
$TENON copy even - 1<>old && same even old && sparse old 64
head -c 24M /dev/urandom >old
expect 0 '' $TENON copy odd old && same odd old && sparse old 64
for way in 'copy even vg/x' 'copy odd vg/x' 'copy - vg/x'; do
	head -c 32M /dev/urandom | $TENON copy - vg/x || problem "filling a volume"
	$TENON $way <even || problem "$way"
	case $way in *odd*) source=odd ;; *) source=even ;; esac
	cmp -n "$(stat -c %s $source)" $source <($TENON copy vg/x - 2>/dev/null) || problem "$way: the data"
	[ "$(du -k p.img | cut -f1)" -lt 16000 ] || problem "$way: $(du -k p.img | cut -f1) KiB left in the image"
done
# The rest of the last sector is zeroes, also beneath a source that is shorter.
printf xyz >three
expect 0 '' $TENON copy three vg/x
[ "$($TENON copy vg/x - 2>/dev/null | head -c 512 | tr -d '\0' | head -c 512)" = xyz ] || problem 'the rest of a sector'
# The name of a group is no file's.
expect 1 'vg: is a volume group.*' $TENON copy even vg
expect 1 'vg: is a volume group' $TENON copy vg out
[ ! -e vg ] && [ ! -e out ] || problem 'a file that has the name of a group'
# Nor is a folder that is not there a group: it is named.
expect 1 'there is no folder nodir here, and no volume' $TENON copy even nodir/out
expect 1 'there is no folder nodir here, and no volume' $TENON copy vg/x nodir/out
expect 1 'there is no folder nodir here, and no volume' $TENON copy even nodir/out --dry-run
expect 0 '' $TENON copy even ./vg && same even vg && rm vg
# What is overwritten has gone at the end of the disk as well: an array's member, the second copy of a GPT.
(PATH=$PATH:/usr/sbin; truncate -s 32M member other gpt; truncate -s 2M small; mke2fs -q -t ext4 small
TENON_DEVICES= $TENON raid create r member other --level 1 --metadata 1.0 2>/dev/null && printf 'label: gpt\n,8M\n' | sfdisk -q gpt) || problem 'no disks'
for disk in member gpt; do
	expect 0 '' $TENON copy $disk vg/x --yes
	expect 1 'vg/x: holds' $TENON copy small vg/x
	$TENON copy vg/x whole
	expect 1 '' $TENON copy small vg/x --yes --map nowhere/map
	cmp whole <($TENON copy vg/x -) || problem 'a copy that did not begin has wiped something'
	rm whole
	expect 0 '' $TENON copy small vg/x --yes
	$TENON copy vg/x found 2>/dev/null
	[ "$(PATH=$PATH:/usr/sbin wipefs -J found | grep -c '"type"')" = 1 ] || problem "of $disk is left: $(PATH=$PATH:/usr/sbin wipefs found)"
	rm found
done
# What cannot be looked for is not taken for nothing: here no libblkid.
hide=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | awk '$1 ~ /^libblkid/ { print $NF; exit }')
hidden() { unshare -rm sh -c 'mount --bind /dev/null "$(realpath "$0")" && "$@"' "$hide" "$@"; }
if hidden true 2>/dev/null; then
	expect 0 '' $TENON copy small vg/x --yes
	expect 1 'cannot use libblkid' hidden $TENON copy other vg/x
	expect 1 'cannot use libblkid' hidden $TENON copy other vg/x --dry-run
	expect 1 'small: cannot be searched for signatures' hidden $TENON image import other small
	cmp -n "$(stat -c %s small)" small <($TENON copy vg/x -) || problem 'overwritten without a look at it'
fi
expect 0 '' $TENON copy three vg/x --yes
rm member other gpt small
# A hole has no cost, whatever its length.
truncate -s $((2 << 40)) big && printf x >>big
expect 0 '' $TENON copy big big2
[ "$(stat -c %s big2)" = $(((2 << 40) + 1)) ] && sparse big2 64 && [ "$(tail -c 1 big2)" = x ] || problem '2 TiB and a byte'
rm -f big big2

# --- What is not the bytes of a disk.
if command -v qemu-img >/dev/null; then
	for format in qcow2 vmdk vdi vhdx vpc qed parallels; do
		qemu-img create -q -f $format image-$format 8M >/dev/null 2>&1 || { problem "qemu-img makes no $format"; continue; }
		rm -f out
		expect 1 "$format|vhd" $TENON copy image-$format out
		expect 1 'qemu-img convert|--format' $TENON copy image-$format vg/x
		expect 1 'qemu-img convert' $TENON copy - out < image-$format
		[ $format = vpc ] || expect 1 'standard input' bash -c "cat image-$format | $TENON copy - out"
		[ ! -e out ] || problem "$format was copied"
		expect 0 '' $TENON copy --raw image-$format out && same image-$format out
	done
	qemu-img create -q -f qcow2 image.odd 8M && printf odd >>image.odd
	for command in 'raid create q --level 1 image.odd missing' 'vg create q image.odd' 'raid examine image.odd'; do
		expect 1 'qcow2.*not the bytes of a disk' $TENON $command
	done
	truncate -s %512 image.odd
	expect 1 'qcow2' $TENON raid create q --level 1 image.odd missing
	expect 1 'qcow2' $TENON vg create q image.odd
	truncate -s 16M image.odd
	expect 0 '' $TENON vg create q image.odd --force
	expect 0 '' $TENON copy image.odd out --force
	qemu-img create -q -f vpc -o subformat=fixed fixed 8M
	expect 1 'vhd image' $TENON copy fixed vg/x
fi
for packer in gzip xz zstd bzip2 lz4; do
	command -v $packer >/dev/null || continue
	head -c 100000 even | $packer -c >packed 2>/dev/null
	rm -f out
	expect 1 "$packer.*$packer -dc packed \| tenon copy -|$packer" $TENON copy packed out
	expect 1 "$packer -dc" bash -c "cat packed | $TENON copy - out"
	expect 1 "$packer -dc" bash -c "$TENON copy - vg/x <packed"
	[ ! -e out ] || problem "$packer was copied"
	expect 0 '' $TENON copy --raw packed out && same packed out
	$packer -dc packed | $TENON copy - out --force && cmp -n 100000 even out || problem "unpacking by $packer"
done

# --- Signals: nothing half is left, what was there stays, and the shell's loop ends.
mkfifo slow
for signal in INT TERM HUP; do
	for destination in new.$signal old.$signal; do
		printf 'was here' >old.$signal
		# python3 starts it with default signals: a shell's background jobs ignore SIGINT.
		python3 - $TENON $signal $destination <<-'PYTHON' || problem "SIG$signal while copying to $destination"
			import os, signal, subprocess, sys, time
			number = getattr(signal, "SIG" + sys.argv[2])
			def reset():
			    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
			        signal.signal(s, signal.SIG_DFL)
			p = subprocess.Popen([sys.argv[1], "copy", "-", sys.argv[3]], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=reset)
			p.stdin.write(b"x" * 3000000)
			p.stdin.flush()
			time.sleep(0.3)
			p.send_signal(number)
			sys.exit(p.wait(20) != -number)
		PYTHON
	done
	[ ! -e new.$signal ] || problem "SIG$signal left half a file"
	[ -e old.$signal ] || problem "SIG$signal removed a file that was there"
done
head -c 300M /dev/zero | tr '\0' x >large
python3 - $TENON <<-'PYTHON' || problem 'a file to a file, interrupted'
	import os, signal, subprocess, sys, time
	for attempt in range(30):
	    p = subprocess.Popen([sys.argv[1], "copy", "large", "half"], stderr=subprocess.DEVNULL,
	                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
	    while not os.path.exists("half") and p.poll() is None:
	        time.sleep(0.001)
	    p.send_signal(signal.SIGINT)
	    if p.wait(20) == -signal.SIGINT:
	        sys.exit(os.path.exists("half"))
	    os.unlink("half")
	sys.exit("it was always faster")
PYTHON
mkfifo hangs
(trap '' HUP; exec $TENON copy - nohup.out) <hangs & pid=$!
exec 7>hangs
head -c 1M large >&7 # more than a pipe has room for: it reads
kill -HUP $pid
echo data >&7
exec 7>&-
wait $pid && [ "$(tail -c 5 nohup.out)" = data ] || problem 'SIGHUP that the parent ignores ended it'
rm -f large
# A FIFO that nobody reads yet is waited for; it can be interrupted.
timeout -s TERM 0.5 $TENON copy even slow
[ $? = 124 ] || problem 'waiting for the reader of a FIFO'
$TENON copy even slow & pid=$!
cmp even slow || problem 'through a FIFO'
wait $pid || problem 'to a FIFO'

# --- A medium with errors: only what is unreadable is lost, and ddrescue reads the list.
head -c 8M /dev/urandom >medium
"$helpers/blk_server" disk.sock file medium bad 1000000+1 4194304+8192 8388096+512 >/dev/null 2>&1 & pids+=($!)
wait_for listens disk.sock
expect 1 'reading' $TENON copy vhost-user:disk.sock out2
[ ! -e out2 ] || problem 'a copy that failed was left'
expect 1 '9216 bytes in 3 ranges' $TENON copy vhost-user:disk.sock out2 --skip-errors
expect 1 '512 bytes at byte 999936 ' $TENON copy vhost-user:disk.sock out2 --map map --force
{ head -c 999936 medium; head -c 512 /dev/zero; tail -c +1000449 medium | head -c 3193856; head -c 8192 /dev/zero
	tail -c +4202497 medium | head -c 4185600; head -c 512 /dev/zero; } >expected
same expected out2
$TENON copy vhost-user:disk.sock - --skip-errors >out3 2>said
[ $? = 1 ] && grep -q '9216 bytes' said && same expected out3 || problem "to a stream past errors: $(cat said)"
rm -f out3
expect 1 'map file' $TENON copy vhost-user:disk.sock out3 --map medium
[ "$(stat -c %s medium)" = 8388608 ] || problem 'a map was written over something else'
if command -v ddrescuelog >/dev/null; then
	expect 0 'bad-sector: *9216 B' ddrescuelog -t map
	[ "$(ddrescuelog -l- -b512 map | tr '\n' ' ')" = "1953 $(seq -s' ' 8192 8207) 16383 " ] || problem "the map: $(cat map)"
	expect 0 '' ddrescue -q -r1 medium out2 map
	same medium out2
fi

# A parent that closed standard output or input gets no success.
expect 1 'Bad file descriptor' bash -c "$TENON copy even - >&-"
expect 1 'Bad file descriptor' bash -c "$TENON copy - out3 <&-"

# --- One file twice, and what changes meanwhile.
ln even hard
expect 1 'source and the destination' $TENON copy even hard
expect 1 'source and the destination' bash -c "$TENON copy - even <even"
expect 1 'in use|source and the destination' $TENON copy vg/x p.img
[ "$(stat -c %s even)" = 20971520 ] || problem 'the source was emptied'
expect 1 'LVM2' $TENON copy even p.img
mke2fs -q -F -t ext4 even 4M 2>/dev/null && {
	cp even fs
	expect 1 'ext4.*' $TENON copy odd fs
	same even fs
	expect 0 '' $TENON copy odd fs --force
	same odd fs
}
truncate -s 40M wide
expect 1 'source has' $TENON copy wide vg/x
expect 1 'source has' bash -c "$TENON copy - vg/x <wide"
expect 1 'source has more' bash -c "cat wide | $TENON copy - vg/x"
truncate -s 40M shrinks && head -c 40M /dev/urandom >shrinks
python3 - $TENON <<-'PYTHON' || problem 'a redirected file that was cut was copied without a word'
	import os, subprocess, sys, threading
	reader, writer = os.pipe()
	p = subprocess.Popen([sys.argv[1], "copy", "-", "-"], stdin=open("shrinks"), stdout=writer, stderr=subprocess.PIPE)
	os.close(writer)
	os.read(reader, 4096)
	os.truncate("shrinks", 5 << 20)
	while os.read(reader, 1 << 20):
	    pass
	said = p.stderr.read()
	sys.exit(p.wait() != 1 or b"cut" not in said)
PYTHON

# A writer that comes late, one that never comes, and an input that does not block.
mkfifo late
{ sleep 0.3; cat even; } >late &
expect 0 '' $TENON copy late out4
same even out4
python3 - $TENON <<-'PYTHON' || problem 'a wait for the start of a stream: it does not end, or is busy'
	import os, resource, signal, subprocess, sys, time
	def wait_for(source, stdin):
	    before = resource.getrusage(resource.RUSAGE_CHILDREN)
	    p = subprocess.Popen([sys.argv[1], "copy", source, "out5"], stdin=stdin, stderr=subprocess.DEVNULL,
	                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
	    time.sleep(2)
	    p.send_signal(signal.SIGINT)
	    assert p.wait(20) == -signal.SIGINT, p.returncode
	    after = resource.getrusage(resource.RUSAGE_CHILDREN)
	    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
	    assert used < 0.5, used
	    assert not os.path.exists("out5")
	reader, writer = os.pipe()
	os.set_blocking(reader, False)
	wait_for("-", reader)
	wait_for("late", subprocess.DEVNULL)
PYTHON

# What somebody else put in the place of a new file stays when the copy fails.
python3 - $TENON <<-'PYTHON' || problem 'a failed copy removed what was not its own'
	import os, subprocess, sys, time
	for name, start in ("new1", b""), ("new2", b"x" * 8192):
	    p = subprocess.Popen([sys.argv[1], "copy", "-", name], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
	    p.stdin.write(start + b"y" * 4096)
	    p.stdin.flush()
	    while not os.path.exists(name):
	        time.sleep(0.01)
	    open("theirs", "w").write("theirs")
	    os.rename("theirs", name)
	    p.terminate()
	    p.wait()
	    assert open(name).read() == "theirs"
PYTHON

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
