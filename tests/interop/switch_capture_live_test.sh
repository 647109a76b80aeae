#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Live captures that go wrong: the command gives up while the switch is stopped, is killed in mid course, is refused its file; the switch is killed,
# or ends. The switch then records nothing for nobody, nothing is left in the runtime directory, and what is not known is not said to be none.
# timeout: 120
set -u
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"

captures() { lab_show | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["captures"]))'; }
left() { find "$TENON_RUNTIME_DIR" -name 'capture-*'; }
none_left() { [ -z "$(left)" ] || lab_fail "$1: left in the runtime directory: $(left)"; }
begin() { # WORD... in the background, until the switch has it
	local before=$(captures)
	"$TENON" switch capture lab "$@" 2>said & live=$!
	for _ in $(seq 1200); do [ "$(captures)" -gt "$before" ] && return; sleep 0.05; done
	lab_fail "the capture did not begin: $(cat said)"
}
ends() { # STATUS TEXT
	wait $live
	local rc=$?
	[ $rc = "$1" ] && grep -q -- "$2" said || lab_fail "expected $1 and \"$2\": $rc, $(cat said)"
}

lab_switch lab --port a=tap:tapa --port b=tap:tapb --verbose

# Asked for while the switch is stopped, and given up.
stop_process $LAB_PID
timeout 100 "$TENON" switch capture lab -w stopped.pcapng 2>said
[ $? = 1 ] && grep -q 'no answer to switch.capture.start' said || lab_fail "a stopped switch: $(cat said)"
[ ! -e stopped.pcapng ] || lab_fail "what was not begun has a file"
kill -CONT $LAB_PID
[ "$(captures)" = 0 ] || lab_fail "it is recorded for nobody: $("$TENON" switch show lab)"
none_left "given up"

# What the command refuses is never begun in the switch; what the switch refuses leaves the file.
mkdir folder
echo 'a letter' >letter
for file in folder letter no/such/file; do
	"$TENON" switch capture lab -w $file 2>said && lab_fail "-w $file was taken"
done
[ "$(cat letter)" = 'a letter' ] || lab_fail "a letter was written over"
"$TENON" switch capture lab nobody -w new.pcapng 2>said && lab_fail "a port that is not there"
[ ! -e new.pcapng ] || lab_fail "what the switch refused has a file"
echo 'kept' >stream
"$TENON" switch capture lab nobody -w - >>stream 2>said && lab_fail "a port that is not there"
[ "$(cat stream)" = kept ] || lab_fail "standard output was emptied"
grep -q 'reader left' switch.out && lab_fail "refused ones were begun: $(cat switch.out)"
"$TENON" switch show lab >/dev/null || lab_fail "show"

# One that was killed between making its FIFO and opening it leaves it: the next one removes it, and none that somebody reads, and nothing else.
mkfifo "$TENON_RUNTIME_DIR/capture-1" "$TENON_RUNTIME_DIR/capture-read" "$TENON_RUNTIME_DIR/capture-new"
echo x >"$TENON_RUNTIME_DIR/capture-file"
sleep infinity <>"$TENON_RUNTIME_DIR/capture-read" & LAB_PIDS+=($!)
touch -d '1 hour ago' "$TENON_RUNTIME_DIR"/capture-{1,read,file}
begin -w first.pcapng
[ "$(left | sed 's/.*capture-//' | sort | tr '\n' ' ')" = 'file new read ' ] || lab_fail "left: $(left)"
kill -TERM $live
ends 0 'packets captured, 0 lost'
rm -f "$TENON_RUNTIME_DIR"/capture-*

# The count is not reached when the switch ends, or is killed: how many were lost is not known.
begin -w count.pcapng --count 100000
kill -9 $LAB_PID
ends 1 'lost is not known'
grep -q 'before there were 100000 packets' said || lab_fail "$(cat said)"
wait $LAB_PID 2>/dev/null
# The kernel may have the interfaces of one that was killed for a moment longer.
lab_switch lab --port a=tap:tapc
begin -w count.pcapng --count 100000
"$TENON" switch stop lab || lab_fail "stop"
ends 1 'before there were 100000 packets'
grep -q '0 lost' said && lab_fail "nobody knows: $(cat said)"
wait $LAB_PID
lab_switch lab --port a=tap:tapc
begin -w stopped.pcapng
"$TENON" switch capture lab --stop 1 2>other || lab_fail "$(cat other)"
ends 1 'lost is not known'
none_left "the end"
lab_end || lab_fail "the switch ended with $?"
lab_done
