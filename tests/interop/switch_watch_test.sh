#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon switch capture`, live, as tshark reads it: interfaces, directions, packet ids that are the same at both ports, verdict and
# reason of what was dropped, filters, snapshot lengths, segments, files in a row; and readers that leave, stop or are killed.
set -u
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
command -v tshark >/dev/null || lab_skip "tshark is not installed"

LAB_CAPTURES=()
# Starts a capture in the background, and waits until the switch has it: $CAPTURE is its process.
capture_begin() {
	local before
	before=$(captures)
	"$TENON" switch capture lab "$@" 2>>capture.err &
	CAPTURE=$!
	LAB_PIDS+=($CAPTURE)
	for _ in $(seq 1200); do [ "$(captures)" -gt "$before" ] && return; sleep 0.05; done
	cat capture.err; lab_fail "the capture did not begin: $*"
}
captures() { "$TENON" switch show lab | grep -c '^capture '; }
capture_end() { kill -INT $CAPTURE; wait $CAPTURE || { cat capture.err; lab_fail "the capture ended with $?"; }; }
ping_through() { timeout 60 ip netns exec pa busybox ping -c 1 -W 30 10.0.0.2 >ping || { cat ping; lab_fail "ping"; }; }
fields() { # FILE FILTER FIELD...
	local file=$1 filter=$2 field arguments=()
	shift 2
	for field; do arguments+=(-e "$field"); done
	tshark -n -r "$file" -Y "$filter" -T fields -E separator=, "${arguments[@]}" 2>tshark.err || { cat tshark.err; lab_fail "tshark: $file"; }
}

lab_switch lab --port a=tap:tapa --port b=tap:tapb --port c=tap:tapc
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
ping_through

# All ports: each packet twice, in at one and out at the other, with one id.
capture_begin -w all.pcapng --filter 'icmp'
for _ in 1 2 3; do ping_through; done
capture_end
fields all.pcapng icmp frame.interface_name frame.packet_id icmp.type icmp.ident frame.packet_flags_direction >seen
python3 - seen <<'PYTHON' || { cat seen; lab_fail "interfaces, directions and ids"; }
import sys
rows = [line.strip().split(",") for line in open(sys.argv[1])]
assert len(rows) == 12, len(rows)
for kind, source, to in (("8", "a", "b"), ("0", "b", "a")):
    for number in {row[3] for row in rows}:
        two = [row for row in rows if row[2] == kind and row[3] == number]
        assert len(two) == 2 and two[0][1] == two[1][1], two
        assert {(row[0], int(row[4], 0)) for row in two} == {(source, 1), (to, 2)}, two
assert len({row[1] for row in rows}) == 6 and len({row[3] for row in rows}) == 3
PYTHON
capinfos all.pcapng >infos 2>&1 || { cat infos; lab_fail "capinfos"; }
grep -q 'Number of packets: *12$' infos || { cat infos; lab_fail "capinfos counts other packets"; }
grep -q 'nanoseconds' infos || { cat infos; lab_fail "no nanoseconds"; }
[ "$(grep -c 'Filter string = icmp' infos)" = 3 ] || { cat infos; lab_fail "the filter is not said"; }
grep -q 'Number of stat entries = 1' infos || { cat infos; lab_fail "no counters of the interfaces"; }

# One port, one way, cut short; and to standard output.
capture_begin b -w - --direction out --snaplen 40 --filter icmp >one.pcapng
ping_through; ping_through
capture_end
[ "$(fields one.pcapng icmp frame.interface_name frame.cap_len frame.len)" = "$(printf 'b,40,98\nb,40,98')" ] ||
	lab_fail "one port: $(fields one.pcapng frame frame.interface_name frame.cap_len frame.len)"

# What is dropped is there, with verdict and reason: an address at the port that it comes from.
capture_begin a -w dropped.pcapng --filter 'ether proto 0x88b5'
"$TENON" switch table add lab 02:00:00:00:00:77 a
timeout 60 ip netns exec pa python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("tapa", 0))
s.send(bytes.fromhex("020000000077" + "020000000078" + "88b5") + bytes(46))
s.send(bytes.fromhex("0180c2000001" + "020000000078" + "88b5") + bytes(46))'
for _ in $(seq 600); do "$TENON" switch show lab | grep -q '^capture .*; 2 frames written' && break; sleep 0.05; done
capture_end
fields dropped.pcapng frame frame.verdict.ebpf_tc frame.comment >seen
[ "$(cat seen)" = "$(printf '2,dropped: same_port\n2,dropped: reserved_address')" ] || { cat seen; lab_fail "verdicts"; }

# Offloads: a checksum left open is finished (a zero as 0xffff, as Linux does, which tshark calls bad for TCP), and said to be; a large frame is cut where that is asked for.
capture_begin a -w whole.pcapng --direction in --filter 'tcp port 5001'
whole=$CAPTURE
capture_begin a -w cut.pcapng --direction in --segments --filter 'tcp port 5001'
lab_transfer pa pb 3000000 10.0.0.2 tcp
capture_end
CAPTURE=$whole
capture_end
[ "$(tshark -n -r whole.pcapng -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y '(tcp.checksum.status == "Bad" && tcp.checksum != 0xffff) || ip.checksum.status == "Bad"' 2>/dev/null | wc -l)" = 0 ] ||
	lab_fail "wrong checksums in the capture"
[ "$(tshark -n -r cut.pcapng -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y '(tcp.checksum.status == "Bad" && tcp.checksum != 0xffff) || ip.checksum.status == "Bad" || frame.len > 1514' 2>/dev/null | wc -l)" = 0 ] ||
	lab_fail "wrong checksums or large frames among segments"
fields whole.pcapng 'frame.len > 1514' frame.comment | grep -q 'a large frame: on a wire\\*, [0-9]* segments of 1448 bytes; checksum left open' || lab_fail "large frames are not said to be"
fields cut.pcapng frame frame.comment | grep -q 'one of [0-9]* segments of a large frame' || lab_fail "segments are not said to be"
bytes() { fields "$1" "tcp.dstport == 5001" tcp.len | awk '{ sum += $1 } END { print sum }'; }
[ "$(bytes cut.pcapng)" = "$(bytes whole.pcapng)" ] || lab_fail "other bytes in segments"

# Files in a row: each can be read, the oldest goes.
capture_begin b -w row.pcapng --rotate-size 64K --files 2
lab_transfer pa pb 2000000 10.0.0.2 tcp
capture_end
[ "$(ls row.*.pcapng | wc -l)" = 2 ] || { ls; lab_fail "files in a row"; }
for file in row.*.pcapng; do capinfos "$file" >infos 2>&1 || { cat infos; lab_fail "$file"; }; done

# Classic pcap, and an end after so many packets.
# Whatever bytes its name has.
classic=$'classic-\xff.pcap'
capture_begin a -w "$classic" --count 2
ping_through; ping_through
wait $CAPTURE || lab_fail "--count: $?"
capinfos -t -E "$classic" | grep -q 'nanosecond' || lab_fail "classic pcap"
# Not one more, however many come at once; in a row of files, too.
capture_begin a -w exact.pcapng --count 7
lab_transfer pa pb 2000000 10.0.0.2 tcp
wait $CAPTURE || lab_fail "--count in a burst: $?"
capture_begin a -w exact.pcapng --count 100 --rotate-size 1M
lab_transfer pa pb 20000000 10.0.0.2 tcp
wait $CAPTURE || lab_fail "--count in a row: $?"
packets=$(for file in exact.pcapng exact.0*; do capinfos -MTrc "$file" | cut -f2; done | tr '\n' ' ')
[ "${packets%% *}" = 7 ] && [ "$(echo $packets | awk '{ for (i = 2; i <= NF; i++) s += $i; print s, (NF > 2) }')" = "100 1" ] ||
	lab_fail "--count: there are $packets"

# A reader that leaves ends it; one that stops delays nobody, nor the end; a killed command leaves nothing behind.
"$TENON" switch capture lab a -w - 2>capture.err | head -c 100 >head &
LAB_PIDS+=($!)
for _ in $(seq 1200); do [ "$(captures)" = 1 ] && break; sleep 0.05; done
for _ in $(seq 100); do ping_through; [ "$(captures)" = 0 ] && break; done
[ "$(captures)" = 0 ] || lab_fail "its reader left, and it goes on"
mkfifo stopped
sleep infinity <>stopped & LAB_PIDS+=($!)
capture_begin a -w stopped
lab_transfer pa pb 20000000 10.0.0.2 tcp
ping_through
before=$SECONDS
kill -INT $CAPTURE; wait $CAPTURE || lab_fail "a reader that does not read: $?"
[ $((SECONDS - before)) -le 30 ] || lab_fail "it took $((SECONDS - before)) s to end"
capture_begin a -w killed.pcapng
kill -KILL $CAPTURE; wait $CAPTURE 2>/dev/null
for _ in $(seq 1200); do [ "$(captures)" = 0 ] && break; ping_through; sleep 0.1; done
[ "$(captures)" = 0 ] || lab_fail "the capture of a killed command goes on"

# Rules: what is dropped goes no further, is counted, and is in captures with the reason.
rule() { "$TENON" switch filter lab "$@" || lab_fail "filter $*"; }
rule add b out icmp drop
rule add b out 'icmp[icmptype] = icmp-echoreply' allow --position 1
capture_begin b -w filtered.pcapng --filter icmp
timeout 60 ip netns exec pa busybox ping -c 1 -W 1 10.0.0.2 >ping && lab_fail "a ping passed a rule that drops it"
# The ping does not wait for a switch that is late.
for _ in $(seq 1200); do "$TENON" switch show lab | grep -q '^capture .*; 1 frames written' && break; sleep 0.05; done
capture_end
[ "$(fields filtered.pcapng frame frame.comment)" = 'dropped: filtered_out' ] || lab_fail "not recorded as filtered: $(fields filtered.pcapng frame frame.comment)"
[ "$(lab_show | grep -c '"filtered_out": 1')" = 1 ] || lab_fail "not counted as filtered"
"$TENON" switch filter lab list b | grep -q 'b *out *2 *1 *1 *drop *icmp' || { "$TENON" switch filter lab list; lab_fail "the list of rules"; }
rule remove b out --position 2
ping_through
"$TENON" switch filter lab add a in 'protochain 6' drop 2>out && lab_fail "a program with a loop was taken"
grep -q 'a jump back' out || { cat out; lab_fail "protochain"; }

# Wrong usage changes nothing.
refuse() {
	local code=$1 text=$2 rc
	shift 2
	timeout 60 "$TENON" switch capture "$@" >out 2>&1; rc=$?
	[ $rc = "$code" ] && grep -q -- "$text" out || { cat out; lab_fail "$*: $rc, not $code and \"$text\""; }
}
refuse 2 'filter "frob"' lab a -w x.pcapng --filter frob
refuse 2 '-w FILE is missing' lab a
refuse 2 'expected in' lab a -w x.pcapng --direction sideways
refuse 2 'they need files' lab a -w - --rotate-size 1M
refuse 1 'port nobody: there is none' lab nobody -w x.pcapng
refuse 1 'none of that name is running' none a -w x.pcapng
echo 'Dear Sir or Madam' >letter
refuse 1 'expected a capture' lab a -w letter
[ ! -e x.pcapng ] || lab_fail "a refused capture left a file"
lab_end || lab_fail "exit status $?"
lab_done
