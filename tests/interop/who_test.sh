#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Who has it, and what was looked at: messages name the process that is in the way, and say what a listing is a
# listing of; `tenon status` says what runs, and removes what killed processes left.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
loop=
cleanup() { [ -z "$loop" ] || losetup -d "$loop"; }
cd "$work" || exit 1
export TENON_DEVICES_FILE=$work/list
serve() {
	rm -f serve.out # what the last one said is there until the shell has truncated it
	"$TENON" serve "$@" --socket-dir s >serve.out 2>&1 &
	server=$!
	pids+=($server)
	wait_for grep -qs ready serve.out
}

# Nothing was looked at: where the list came from.
for verb in 'raid list' 'vg list' 'lv list' 'pv list' 'device list'; do
	# shellcheck disable=SC2086
	expect 0 "nothing was looked at: there is no list of devices \($work/list\)" "$TENON" $verb
	# shellcheck disable=SC2086
	TENON_DEVICES="$work/none*.img" expect 0 "nothing was looked at: TENON_DEVICES is '$work/none\*.img'" "$TENON" $verb
done
expect 1 'no such array: nothing was looked at' "$TENON" raid show r0
: >list
expect 0 "nothing was looked at: the list of devices, $work/list, names none" "$TENON" lv list
rm list
expect 0 "nothing runs: no control socket in $work/run" "$TENON" status

truncate -s 64M a.img b.img c.img
export TENON_DEVICES="$work/[a-c].img"
expect 0 '' "$TENON" raid create r0 --level 1 a.img b.img
expect 0 '' "$TENON" vg create vg0 md/r0
expect 0 '' "$TENON" lv create vg0/root --size 8M
expect 1 'no folder nowhere here, and no volume: nowhere: no such volume group' "$TENON" copy a.img nowhere/file

# A member that was failed or removed is that, and is removed once.
expect 0 '' "$TENON" raid fail r0 b.img
expect 0 'b.img +- +faulty' "$TENON" raid show r0
# Also after others have written to the array.
head -c 4M /dev/zero >data && expect 0 '' "$TENON" copy data vg0/root
expect 0 'b.img +- +faulty' "$TENON" raid show r0
expect 0 '' "$TENON" raid remove r0 b.img
expect 0 'b.img +- +removed' "$TENON" raid show r0
expect 1 'b.img is no member of md/r0 any more: it was removed before' "$TENON" raid remove r0 b.img
"$TENON" raid add r0 b.img >said 2>&1 || problem "raid add: $(cat said)"
grep -q 'not among the devices' said && problem "a device of the list is not on the list: $(cat said)"
expect 0 'recovery of .* is done' "$TENON" raid rebuild r0
expect 0 '^r0 +clean +raid1 ' "$TENON" raid list
"$TENON" raid list | grep -q read-only && problem 'read-only, because it was looked at'

# By another name of its bytes.
if loop=$(losetup -f --show b.img 2>/dev/null); then
	expect 0 '' "$TENON" raid fail r0 "$loop"
	expect 0 'b.img +- +faulty' "$TENON" raid show r0
	expect 0 '' "$TENON" raid remove r0 "$loop"
	losetup -d "$loop"
	loop=
	expect 0 '' "$TENON" raid add r0 b.img
	expect 0 '' "$TENON" raid rebuild r0
else
	echo "no loop device: another name of a member was not tried"
fi

# In use: by whom.
python3 -c '
import fcntl, signal, struct, sys
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)) # F_OFD_SETLK
print("locked", flush=True)
signal.pause()' "$work/c.img" >holder.out &
holder=$!
pids+=($holder)
wait_for grep -q locked holder.out
expect 1 "c.img: in use by process $holder \(.*python3" "$TENON" raid create x --level 1 c.img missing
kill $holder
serve
expect 1 "b.img: in use by process $server \(.*tenon serve" "$TENON" raid create x --level 1 b.img missing --force
expect 1 'tenon status' "$TENON" raid create x --level 1 b.img missing --force

# A second client of a disk that can be written to: who has it, here and in the log. From another folder, too.
mkfifo hold
python3 -c '
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
print("connected", flush=True)
open("hold").read()' s/vg0-root.sock >client.out 2>&1 &
client=$!
pids+=($client)
wait_for grep -q connected client.out
has_client() { "$TENON" status --json | grep -q "\"pid\": $client"; }
wait_for has_client
cd / || exit 1
expect 1 "vg0/root: one at a time can have it, and process $client \(.*python3" "$TENON" copy vg0/root -
cd "$work" || exit 1
expect 1 "process $client \(.*has it" "$TENON" copy vhost-user:s/vg0-root.sock -
wait_for grep -q "was turned away: .*process $client " serve.out
expect 0 "^vg0/root +8 MiB +$client python3 +0 +" "$TENON" status
kill $client
no_client() { ! has_client; }
wait_for no_client
cd / || exit 1
expect 0 '' "$TENON" copy vg0/root "$work/from-afar"
cd "$work" || exit 1

# A list and a show of the same thing, and of the server's.
"$TENON" raid fail r0 b.img 2>/dev/null
one=$("$TENON" raid list --json | python3 -c 'import json, sys; d = json.load(sys.stdin)[0]; d.pop("progress"); print(sorted(d.items()))')
other=$("$TENON" raid show r0 --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
row = "name level state size_bytes devices working spares degraded missing read_only problem uuid serial served not_served clients".split()
print(sorted((key, d[key]) for key in row))')
[ "$one" = "$other" ] || problem "raid list: $one; raid show: $other"
expect 0 'b.img +- +faulty' "$TENON" raid show r0
expect 0 '' "$TENON" raid remove r0 b.img
expect 1 'b.img is no member of md/r0' "$TENON" raid remove r0 b.img

# Killed: what it left is not listed, and is removed.
kill -9 $server
wait $server 2>/dev/null
expect 0 'nothing runs' "$TENON" status
[ -z "$(ls run)" ] || problem "left in the runtime directory: $(ls run)"
"$TENON" switch run lab --socket-dir s --port p=vhost-user >switch.out 2>&1 &
switch=$!
pids+=($switch)
wait_for grep -q ready switch.out
expect 0 "^switch lab, process $switch: " "$TENON" status
kill -9 $switch
wait $switch 2>/dev/null
expect 0 'nothing runs' "$TENON" status
[ -z "$(ls run)" ] || problem "left in the runtime directory: $(ls run)"

# A server that begins, and a command in the same moment: one of them does the work, and neither is refused.
for n in 1 2 3 4 5; do
	rm -f serve.out
	"$TENON" serve --socket-dir s >serve.out 2>&1 &
	server=$!
	sleep 0.0$n
	"$TENON" lv create vg0/new$n --size 4M >said 2>&1 || grep -q "process $server .*/serve-$server.sock\|in use by process" said || problem "beside a start: $(cat said)"
	! started $server serve.out || kill $server
	wait $server || grep -q 'in use by process' serve.out || problem "the server: $(cat serve.out)"
done

# pv list says what is the matter.
truncate -s 64M d.img e.img f.img
export TENON_DEVICES="$work/[d-f].img"
expect 0 '' "$TENON" vg create two d.img e.img --metadata-copies 1
expect 0 '' "$TENON" vg create gone f.img
expect 0 '' "$TENON" vg remove gone
expect 0 "^$work/f.img +- .* in no volume group" "$TENON" pv list
truncate -s 48M e.img
expect 0 "^$work/e.img .*(shorter|truncated|must have)" "$TENON" pv list
truncate -s 64M e.img
cp e.img f.img
expect 0 "^$work/f.img .* is on .*e.img too" "$TENON" pv list
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
