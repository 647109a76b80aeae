#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Commands that are killed, that run out of room, that lack permission, or that meet a device in use: the metadata
# stay good, data stay readable, and what was begun can be finished. And everything works without being root.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
loop=
cleanup() { [ -z "$loop" ] || { mountpoint -q "$work/mounted" && umount "$work/mounted"; losetup -d "$loop"; }; }
cd "$work" || exit 1

# killed SECONDS COMMAND...: runs it and kills it after that time, if it still runs.
killed() {
	local delay=$1 pid
	shift
	"$@" >/dev/null 2>&1 &
	pid=$!
	sleep "$delay"
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
}

# --- Killed while writing to an array, while rebuilding it, while making one.
truncate -s 32M a.img b.img c.img p.img q.img
head -c 30M /dev/urandom >data
expect 0 '' $TENON raid create r --level 1 --bitmap internal --bitmap-chunk 64K a.img b.img
export TENON_DEVICES=a.img:b.img
for delay in 0.02 0.05 0.08 0.12 0.2; do
	killed $delay $TENON copy data md/r
	expect 0 '' $TENON raid examine a.img b.img
	expect 0 '' $TENON raid rebuild r
	expect 0 '(^|[^0-9])0 bytes differ' $TENON raid check r
done
expect 0 '' $TENON copy data md/r
expect 0 '' $TENON raid fail r b.img
expect 0 '' $TENON raid remove r b.img
expect 0 '' $TENON raid add r c.img
export TENON_DEVICES=a.img:c.img
for delay in 0.02 0.04 0.06 0.09; do
	killed $delay $TENON raid rebuild r
	cmp -n 30M data <($TENON copy md/r - 2>/dev/null) || problem "the array after a rebuild that was killed"
done
expect 0 '' $TENON raid rebuild r
expect 0 '(^|[^0-9])0 bytes differ' $TENON raid check r
cmp -n 30M data <(TENON_DEVICES=c.img $TENON copy md/r - 2>/dev/null) || problem "the member that was rebuilt"
for delay in 0.01 0.02 0.03 0.04; do
	rm -f m.img n.img && truncate -s 32M m.img n.img
	killed $delay $TENON raid create half --level 1 --bitmap internal m.img n.img
	expect 0 '' $TENON raid create whole --level 1 m.img n.img --force
	expect 0 'clean' env TENON_DEVICES=m.img:n.img $TENON raid show whole
done

# --- A signal ends a rebuild and a check in order, and is what the command dies of: the array stays good.
command -v python3 >/dev/null && cat >by_signal <<-'PYTHON'
	import re, signal, subprocess, sys, time
	number = getattr(signal, sys.argv[1])
	def begun(pid): # it blocks them, and reads them from a file
	    mask, = re.findall("SigBlk:\\s*([0-9a-f]+)", open("/proc/%d/status" % pid).read())
	    return int(mask, 16) >> (number - 1) & 1
	for _ in range(12):
	    p = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
	                         preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])
	    while p.poll() is None and not begun(p.pid):
	        time.sleep(0.001)
	    p.send_signal(number)
	    said = p.communicate(timeout=300)[1]
	    if p.returncode == -number and b"interrupted" in said:
	        sys.exit(0)
	sys.exit("it always ended otherwise")
PYTHON
truncate -s 400M s.img t.img
expect 0 '' $TENON raid create long --level 1 s.img t.img --assume-clean
head -c 300M /dev/zero | tr '\0' x | TENON_DEVICES=s.img:t.img $TENON copy - md/long
for signal in SIGINT SIGTERM SIGHUP; do
	TENON_DEVICES=s.img:t.img python3 by_signal $signal $TENON raid check long || problem "$signal during a check"
done
expect 0 '' env TENON_DEVICES=s.img:t.img $TENON raid check long
rm -f s.img t.img

# --- Killed while changing a group, and while serving it.
export TENON_DEVICES=p.img:q.img
expect 0 '' $TENON vg create vg p.img q.img
expect 0 '' $TENON lv create vg/keep --size 8M
expect 0 '' $TENON copy <(head -c 8M data) vg/keep
for i in $(seq 12); do
	killed 0.0$((i % 5))$((i % 10)) $TENON lv create vg/l$i --size 4M
	expect 0 '' $TENON pv check p.img q.img
	expect 0 'keep' $TENON lv list
	[ $((i % 2)) = 0 ] || continue
	killed 0.0$((i % 4))$((i % 7)) $TENON lv remove vg/l$i
	expect 0 '' $TENON pv check p.img q.img
done
expect 0 '' $TENON lv create vg/last --size 4M
cmp -n 8M data <($TENON copy vg/keep - 2>/dev/null) || problem "a volume beside those that were changed"
rm -f server
rm -f server
$TENON serve vg --socket-dir sockets >server 2>&1 &
server=$!
for _ in $(seq 1200); do grep -qs ready server && break; sleep 0.05; done
expect 1 'in use|serv' $TENON vg create other p.img --force
kill -KILL $server && wait $server 2>/dev/null
expect 0 'keep' $TENON lv list
expect 0 '' $TENON lv remove vg/last
rm -f server
rm -f server
$TENON serve vg --socket-dir sockets >server 2>&1 &
server=$!
for _ in $(seq 1200); do grep -qs ready server && break; sleep 0.05; done
grep -q 'vg/keep sockets/vg-keep.sock' server || problem "a server after one that was killed: $(cat server)"
expect 0 '' $TENON lv create vg/served --size 4M
kill $server && wait $server || problem "the second server ended with $?: $(cat server)"

# --- QEMU has it; the kernel has it through a loop device.
if command -v qemu-io >/dev/null; then
	exec 9> >(exec qemu-io -f raw a.img >qemu 2>&1)
	for _ in $(seq 1200); do grep -q 'qemu-io>' qemu 2>/dev/null && break; sleep 0.05; done
	before=$(stat -c %y a.img)
	for words in "raid fail r a.img" "raid create x --level 1 a.img b.img --force" "raid rebuild r" "copy data a.img --force" "vg create x a.img --force"; do
		expect 1 'in use' env TENON_DEVICES=a.img:c.img $TENON $words
	done
	exec 9>&-
	[ "$(stat -c %y a.img)" = "$before" ] || problem "an image that QEMU has was changed"
fi
if [ "$(id -u)" = 0 ] && truncate -s 16M l.img && mke2fs -q -t ext4 l.img 2>/dev/null && loop=$(losetup -f --show l.img 2>/dev/null); then
	mkdir mounted
	if mount "$loop" mounted 2>/dev/null; then
		expect 1 "in use.*$loop" $TENON raid create x --level 1 l.img missing --force
		expect 1 "in use.*$loop" $TENON copy data l.img
		expect 1 'busy|in use' $TENON vg create x "$loop" --force
		umount mounted
	fi
	expect 1 'ext4' $TENON vg create x "$loop"
	losetup -d "$loop"
	loop=
fi

# --- No room in the file system.
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	cat >full <<-'SCRIPT'
		mkdir -p small && mount -t tmpfs -o size=3M none small && cd small || exit 77
		truncate -s 16M a b p
		head -c 8M ../data >../part
		unset TENON_DEVICES
		set -e
		$TENON raid create r --level 1 --bitmap internal a b
		$TENON vg create vg p
		$TENON lv create --device p vg/x --size 8M
		fails() { local rc=0; "$@" 2>../why || rc=$?; [ $rc = 1 ] && grep -q 'No space' ../why || { echo "$* gave $rc: $(cat ../why)"; exit 1; }; }
		fails $TENON copy --device p ../part vg/x
		fails $TENON lv create --device p vg/y --size 1M
		$TENON pv check p
		[ "$($TENON lv list --device p | wc -l)" = 2 ]
		fails $TENON copy --device a --device b ../part md/r
		fails $TENON copy ../data image
		fails $TENON copy - stream <../data
		[ ! -e image ] && [ ! -e stream ]
		$TENON raid examine a b
		rm p
		$TENON raid rebuild --device a --device b r
		$TENON raid check --device a --device b r | grep -q ' 0 bytes differ'
	SCRIPT
	TENON=$TENON unshare -m bash full >said 2>&1
	case $? in 0 | 77) ;; *) problem "a full file system: $(tail -n 5 said)" ;; esac
fi

# --- Somebody else than root: all of it, in places of their own.
if [ "$(id -u)" = 0 ]; then
	chmod 711 "$work"
	mkdir home && chown 65534:65534 home && cp "$TENON" home/tenon
	truncate -s 16M rootonly.img && chmod 600 rootonly.img
	mkdir foreign foreign/tenon && chmod 711 foreign
	cat >user <<-'SCRIPT'
		cd home || exit 1
		unset XDG_RUNTIME_DIR XDG_CONFIG_HOME TENON_RUNTIME_DIR TENON_DEVICES TENON_DEVICES_FILE
		export HOME=$PWD
		set -e
		truncate -s 32M a b
		./tenon raid create r --level 1 a b
		./tenon device add a b
		./tenon vg create vg md/r
		./tenon lv create vg/x --size 8M
		./tenon serve vg --socket-dir sockets >server 2>&1 & server=$!
		for _ in $(seq 1200); do grep -qs ready server && break; sleep 0.05; done
		./tenon lv create vg/y --size 4M
		head -c 4M /dev/urandom >data
		./tenon copy data vg/y
		[ "$(stat -c %a sockets/vg-y.sock)" = 600 ]
		./tenon raid show r >/dev/null
		kill $server; wait $server
		./tenon copy vg/y - | cmp - data
		fails() { local rc=0 pattern=$1; shift; "$@" 2>said || rc=$?; [ $rc = 1 ] && grep -q "$pattern" said || { echo "$* gave $rc: $(cat said)"; exit 1; }; }
		fails 'Permission denied' ./tenon raid examine ../rootonly.img
		fails 'Permission denied' ./tenon raid create q --level 1 ../rootonly.img missing
		fails 'Permission denied' ./tenon raid list --device ../rootonly.img
		fails 'Permission denied' ./tenon serve vg --socket-dir /sockets
		fails 'Permission denied' ./tenon copy data /image
		# A place of another user, which came with his environment or was there before.
		TENON_RUNTIME_DIR=../foreign/tenon fails 'belongs to user 0 (root), expected user 65534.*' ./tenon status
		grep -q 'TENON_RUNTIME_DIR came with the environment of another user' said
		XDG_RUNTIME_DIR=$(cd .. && pwd)/foreign fails 'belongs to user 0 (root), expected user 65534.*' ./tenon serve vg --socket-dir sockets
		grep -q 'XDG_RUNTIME_DIR came with the environment of another user' said
		# Root of a user namespace of his own, without a runtime directory, is this user with his place, and has TAP ports.
		if unshare -rn true 2>/dev/null && [ -w /dev/net/tun ]; then
			unshare -rn bash -c './tenon switch run own --port t=tap:tap0 >switch 2>&1 & echo $! >switch_pid; wait'  &
			for _ in $(seq 1200); do grep -q ready switch 2>/dev/null && break; sleep 0.05; done
			grep -q 'ready: t=tap:tap0' switch || { cat switch; exit 1; }
			[ "$(stat -c %u /tmp/tenon-65534)" = 65534 ]
			./tenon switch show own >/dev/null
			kill "$(cat switch_pid)"
			wait
		fi
		mkdir closed && chmod 555 closed
		fails 'Permission denied' ./tenon serve vg --socket-dir closed
		TENON_RUNTIME_DIR=/runtime fails 'Permission denied.*' ./tenon serve vg --socket-dir sockets
		chmod 444 a b
		./tenon lv list | grep -q y
		./tenon copy vg/y - | cmp - data
		fails 'Permission denied' ./tenon lv create vg/z --size 4M
	SCRIPT
	setpriv --reuid 65534 --regid 65534 --clear-groups bash user >said 2>&1 || problem "without being root: $(tail -n 5 said)"
	rm -rf "/tmp/tenon-65534"
fi

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
