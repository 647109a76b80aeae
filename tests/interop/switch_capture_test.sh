#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Captures of `tenon switch`: a reader that pauses, leaves or never comes, and a disk that is full, hold neither
# the network nor `switch show` nor SIGTERM; loss is said at once; the output ends at a whole packet; and
# standard output, when it is the capture, has nothing else in it.
set -u
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"

ping_through() { timeout 60 ip netns exec pa busybox ping -c 1 -W 30 10.0.0.2 >ping || { cat ping; lab_fail "ping: $1"; }; }
# All of a capture is whole records: prints how many.
whole() {
	python3 - "$1" <<'PYTHON'
import struct, sys
data, at, count = open(sys.argv[1], "rb").read(), 0, 0
if data[:4] == b"\x0a\x0d\x0d\x0a":
    while at < len(data):
        kind, size = struct.unpack_from("=II", data, at)
        assert at + size <= len(data) and struct.unpack_from("=I", data, at + size - 4)[0] == size, at
        at, count = at + size, count + (kind == 6)
else:
    assert struct.unpack_from("=I", data)[0] == 0xa1b23c4d, data[:64]
    at = 24
    while at < len(data):
        size = struct.unpack_from("=I", data, at + 8)[0]
        assert at + 16 + size <= len(data), (at, size, len(data))
        at, count = at + 16 + size, count + 1
print(count)
PYTHON
}
capture() { lab_show | python3 -c 'import json, sys; print(json.load(sys.stdin)["captures"][0][sys.argv[1]])' "$1"; }
hosts() {
	lab_host pa tapa 10.0.0.1/24
	lab_host pb tapb 10.0.0.2/24
}
end() { # of itself, not when somebody reads
	local before=$SECONDS rc
	lab_end; rc=$?
	[ $rc = "$1" ] || { cat switch.out; lab_fail "exit status $rc"; }
	[ $((SECONDS - before)) -le 30 ] || lab_fail "it took $((SECONDS - before)) s to end"
	ip netns delete pa; ip netns delete pb
	sleep 0.2
}

# Nobody opens the FIFO: it starts, works, and ends.
mkfifo never.pcap
lab_switch lab --port a=tap:tapa --port b=tap:tapb --capture never.pcap
hosts
ping_through "nobody reads"
[ "$(capture state)" = 'waiting for a reader' ] || lab_fail "state: $(capture state)"
end 0

# The reader stops reading in mid stream.
mkfifo paused.pcapng
python3 -c '
import os, signal, sys
f = open("paused.pcapng", "rb")
open("got", "wb").write(f.read(5000))
open("reading", "w").close()
os.kill(os.getpid(), signal.SIGSTOP)
with open("got", "ab") as g:
    while data := f.read(65536):
        g.write(data)' &
reader=$!
lab_switch lab --port a=tap:tapa --port b=tap:tapb --capture paused.pcapng
hosts
for _ in $(seq 100); do [ -e reading ] && break; ping_through "begin"; done
lab_transfer pa pb 60000000 10.0.0.2 tcp
ping_through "the reader is paused"
lost=$(timeout 60 "$TENON" switch show lab --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["captures"][0]["lost"])')
[ "${lost:-0}" -gt 0 ] || lab_fail "no frames lost, or switch show does not answer"
lab_said 'frames are lost'
"$TENON" switch show lab | grep -q "^capture .*paused.pcapng: recording.* [1-9][0-9]* lost" || lab_fail "switch show: $("$TENON" switch show lab | tail -1)"
end 0
kill -CONT $reader; wait $reader
# Just what the end says is not in it. How many frames the stream is cut into is the stack's affair.
missing=$(sed -n 's/.*: \([0-9]*\) of \([0-9]*\) frames are not in it/\2 - \1/p' switch.out)
count=$(whole got) && [ "$count" = $((missing)) ] && [ "$count" -gt 10 ] || lab_fail "the stream has $count frames of $missing"

# Standard output: the capture, and nothing else; its reader leaves early.
lab_switch_stream() {
	LAB_SWITCH=lab
	rm -f switch.out
	"$TENON" switch run lab --port a=tap:tapa --port b=tap:tapb --verbose "$@" >stream 2>switch.out &
	LAB_PID=$!; LAB_PIDS+=($LAB_PID)
	for _ in $(seq 1200); do grep -qs ready switch.out && return; sleep 0.05; done
	cat switch.out; lab_fail "the switch did not start"; exit 1
}
lab_switch_stream --capture -
hosts
ping_through "to standard output"
end 0
count=$(whole stream) && [ "$count" -ge 4 ] || lab_fail "the stream is not whole"
mkfifo pipe
head -c 24 pipe >first &
reader=$!
rm -f switch.out
"$TENON" switch run lab --port a=tap:tapa --port b=tap:tapb --capture - >pipe 2>switch.out &
LAB_PID=$!; LAB_PIDS+=($LAB_PID)
wait $reader
lab_said 'its reader left'
hosts
ping_through "the reader has left"
[ "$(capture state)" = 'ended: Broken pipe' ] || lab_fail "state: $(capture state)"
end 0

# A switch that is stopped holds no `switch capture` that is to end: what came before is there, and that it was not told what was lost.
lab_switch lab --port a=tap:tapa --port b=tap:tapb
hosts
"$TENON" switch capture lab -w live.pcapng 2>live.err & live=$!
for _ in $(seq 1200); do [ "$("$TENON" switch show lab | grep -c ^capture)" = 1 ] && break; sleep 0.05; done
ping_through "captured live"
# What is still on its way in the switch stays there.
for _ in $(seq 600); do [ "$(whole live.pcapng 2>/dev/null || echo 0)" -ge 2 ] && break; sleep 0.1; done
stop_process $LAB_PID
kill -TERM $live
for _ in $(seq 600); do kill -0 $live 2>/dev/null || break; sleep 0.05; done
kill -0 $live 2>/dev/null && { lab_fail "a capture of a stopped switch does not end"; kill -9 $live; }
wait $live
[ $? = 0 ] || lab_fail "switch capture of a stopped switch: $(cat live.err)"
grep -q "lost is not known: .*process $LAB_PID .*stopped" live.err || lab_fail "$(cat live.err)"
kill -CONT $LAB_PID
count=$(whole live.pcapng) && [ "$count" -ge 2 ] || lab_fail "what was captured is not whole: $count"
end 0

# A disk that is full: said at once, cut back to a whole packet.
for file in small/x.pcap small/x.pcapng; do
	mkdir -p small && mount -t tmpfs -o size=256k none small
	lab_switch lab --port a=tap:tapa --port b=tap:tapb --capture $file
	hosts
	lab_transfer pa pb 20000000 10.0.0.2 tcp
	ping_through "the disk is full"
	lab_said 'writing failed.*No space left'
	[ "$(capture state)" = 'ended: No space left on device' ] || lab_fail "state: $(capture state)"
	written=$(capture written)
	end 1
	grep -q 'not whole' switch.out || lab_fail "the end says nothing"
	count=$(whole $file) && [ "$count" = "$written" ] || lab_fail "$file: $count packets, $written written"
	umount small
done

# Messages go nowhere: their reader is paused, and the network does not care.
mkfifo messages
python3 -c 'import fcntl, signal; f = open("messages"); fcntl.fcntl(f, 1031, 4096); signal.pause()' & LAB_PIDS+=($!)
LAB_SWITCH=lab
rm -f switch.out
"$TENON" switch run lab --port a=tap:tapa --port b=tap:tapb --port v=vhost-user --socket-dir d --verbose >switch.out 2>messages &
LAB_PID=$!; LAB_PIDS+=($LAB_PID)
for _ in $(seq 1200); do grep -qs ready switch.out && break; sleep 0.05; done
hosts
python3 -c '
import socket
for i in range(3000):
    s = socket.socket(socket.AF_UNIX); s.connect("d/v.sock"); s.sendall(b"x" * 12); s.close()'
ping_through "messages are not read"
end 0
lab_done
