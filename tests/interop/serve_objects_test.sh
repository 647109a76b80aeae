#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What cannot be served is left out, and said so in every place; the rest is served. Serial numbers.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
maker=$(realpath tests/bench/many_volumes.py)
server=
stop() { [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"; server=; }
cleanup() { stop; }
cd "$work" || exit 1
export TENON_DEVICES=$work/p.img:$work/q.img
# serve ARGUMENTS: until it is ready, or has ended.
serve() {
	rm -f out
	"$TENON" serve "$@" >out 2>err &
	server=$!
	for _ in $(seq 1200); do
		grep -q '^ready' out && return
		kill -0 $server 2>/dev/null || return
		sleep 0.05
	done
}
serves() { grep -q "^$1 " out || problem "$1 is not served: $(cat out err)"; }
leaves_out() {
	grep -q "^$1 " out && problem "$1 is served"
	grep -Eq "$1: not served: .*$2" err || problem "not said of $1: $2: $(cat err)"
}

truncate -s 100M p.img q.img
"$TENON" vg create vg0 p.img && "$TENON" vg create vg0-a q.img || exit 1
"$TENON" lv create vg0/root --size 8M && "$TENON" lv create vg0-a/b --size 8M || exit 1
long=$(printf 'n%.0s' $(seq 100))

# A socket's path that is too long.
serve --socket-dir s
serves vg0/root
expect 3 "vg0/$long: created, not served, because: .*the path has 111 bytes, a socket's may have 107" \
	"$TENON" lv create "vg0/$long" --size 4M
expect 3 'renamed, not served, because' "$TENON" lv rename vg0/root "${long}x"
json "[v for v in d if v['name'] == '$long'][0]['not_served'].startswith('s/vg0-nnn')" "$TENON" lv list --json
expect 0 '111 bytes' "$TENON" lv list
[ "$("$TENON" lv list | sort)" = "$("$TENON" lv list --sort name | sort)" ] || problem "tables differ: $("$TENON" lv list)"
expect 1 'not served: .*111 bytes' "$TENON" copy "vg0/$long" -
expect 0 '' "$TENON" lv rename "vg0/${long}x" root
json "d['served'] == '$PWD/s/vg0-root.sock' and d['clients'] == 0" "$TENON" lv show vg0/root --json
stop
serve --socket-dir s
leaves_out "vg0/$long" '111 bytes'
serves vg0/root
serves vg0-a/b
expect 0 '' "$TENON" lv remove "vg0/$long"
stop

# Two volumes that want one socket: never by chance. The server refuses the second; where it was made without a
# server, the older one keeps the socket, whichever group comes first.
serve --socket-dir s
expect 1 'vg0/a-b: its socket s/vg0-a-b.sock would be that of vg0-a/b' "$TENON" lv create vg0/a-b --size 4M
expect 1 'would be that of vg0-a/b' "$TENON" lv rename vg0/root a-b
serves vg0/root
expect 1 'no volume' "$TENON" lv show vg0/a-b
stop
sleep 1.1
"$TENON" lv create vg0/a-b --size 4M || problem "create without a server"
serve --socket-dir s
serves vg0-a/b
serves vg0/root
leaves_out vg0/a-b 'its socket s/vg0-a-b.sock is that of vg0-a/b'
# Once the other has gone, the change that follows serves it.
expect 0 '' "$TENON" lv remove vg0-a/b
expect 0 '' "$TENON" lv resize vg0/a-b --size 8M
json "d['served'] == '$PWD/s/vg0-a-b.sock'" "$TENON" lv show vg0/a-b --json
expect 0 '' "$TENON" lv remove vg0/a-b
stop

# A file in the way is not removed.
mkdir -p s && echo precious >s/vg0-new.sock
serve --socket-dir s
expect 3 'vg0/new: created, not served, because: s/vg0-new.sock: exists, and is no socket' \
	"$TENON" lv create vg0/new --size 4M
stop
serve --socket-dir s
leaves_out vg0/new 'is no socket'
serves vg0/root
[ "$(cat s/vg0-new.sock)" = precious ] || problem "the file in the way was changed"
stop

# By name: an error only where nothing of what was asked for can be had.
serve vg0/new vg0/root vg0/none --socket-dir s
serves vg0/root
leaves_out vg0/none "no volume 'none'"
stop
serve vg0/new --socket-dir s
wait "$server"
[ $? = 1 ] || problem "a server of nothing runs"
grep -q 'tenon: vg0/new: not served: .*is no socket' err && [ "$(grep -c 'is no socket' err)" = 1 ] || problem "$(cat err)"
serve vg0/new vg0/none --socket-dir s
wait "$server"
[ $? = 1 ] || problem "a server of nothing runs"
grep -q 'none of the 2 can be served' err && [ "$(grep -c 'is no socket' err)" = 1 ] && [ "$(grep -c "no volume 'none'" err)" = 1 ] || problem "$(cat err)"
rm s/vg0-new.sock

# A volume that cannot be read, and a group that another process has.
truncate -s 100M r1.img r2.img
export TENON_DEVICES=$TENON_DEVICES:$work/r1.img:$work/r2.img
"$TENON" vg create vgr r1.img r2.img && "$TENON" lv create vgr/first --size 80M &&
	"$TENON" lv create vgr/both --size 80M && rm r2.img || exit 1
serve --socket-dir s
leaves_out vgr/both 'physical volume is missing'
serves vgr/first
serves vg0/root
stop
"$TENON" serve vg0-a --socket-dir other >out2 2>&1 &
other=$!
for _ in $(seq 1200); do grep -q '^ready' out2 && break; sleep 0.05; done
serve --socket-dir s
serves vg0/root
leaves_out vg0-a "in use by process $other "
stop
kill $other && wait $other

# An array with nothing on it is served; a label of a PV that is in no group is nothing.
truncate -s 100M m1.img m2.img
expect 0 '' "$TENON" raid create left --level 1 m1.img m2.img
expect 0 '' "$TENON" vg create gone md/left --device m1.img --device m2.img
expect 0 '' "$TENON" vg remove gone --device m1.img --device m2.img
serve --socket-dir s --device m1.img --device m2.img
serves md/left
stop
rm m1.img m2.img

# Serial numbers: unique, without a slash, the same at each start and after a rename, and as chosen.
"$TENON" lv create vg0/database-of-customer-01 --size 4M && "$TENON" lv create vg0/database-of-customer-02 --size 4M
json "len(set(v['serial'] for v in d)) == len(d) and all(len(v['serial']) == 20 and v['serial'].isalnum() for v in d)" \
	"$TENON" lv list --json
serial() { "$TENON" lv show "$1" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["serial"])'; }
before=$(serial vg0/root)
serve vg0 --socket-dir s --serial vg0/new=disk-7
[ "$(serial vg0/root)" = "$before" ] || problem "the serial number depends on the server"
[ "$(serial vg0/new)" = disk-7 ] || problem "the chosen serial number is not shown"
expect 0 '' "$TENON" lv rename vg0/root top
[ "$(serial vg0/top)" = "$before" ] || problem "the serial number changed with the name"
expect 0 '' "$TENON" lv rename vg0/top root
stop
expect 2 'two disks with one serial' "$TENON" serve --socket-dir s --serial vg0/new=x --serial vg0/root=x
expect 2 '21 characters, expected 1 to 20' "$TENON" serve --socket-dir s --serial vg0/new=123456789012345678901
expect 2 'expected letters' "$TENON" serve --socket-dir s --serial vg0/new=a/b
expect 2 'expected VG/LV=SERIAL' "$TENON" serve --socket-dir s --serial new
serve vg0 --socket-dir s --serial "vg0/new=$before"
grep -q "not served: its serial number $before is that of" err || problem "two disks have one serial number: $(cat err)"
stop

# A machine that has a volume is told of its new size: who resizes learns that.
serve vg0 --socket-dir s
python3 - s/vg0-root.sock <<'PYTHON' &
import socket, struct, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(struct.pack('<III', 1, 1, 0))
s.recv(20)
open('connected', 'w')
time.sleep(600)
PYTHON
client=$!
for _ in $(seq 1200); do [ -e connected ] && break; sleep 0.05; done
json "d['clients'] == 1" "$TENON" lv show vg0/root --json
expect 0 'vg0/root: the client that has it is told of its new size' "$TENON" lv resize vg0/root --size 12M
expect 1 'vg0/root: a client is connected' "$TENON" lv remove vg0/root
expect 1 'vg0/root: a client is connected' "$TENON" lv rename vg0/root other
json "d['served'] == '$PWD/s/vg0-root.sock'" "$TENON" lv show vg0/root --json
kill $client
wait $client
stop

# A member whose path is no UTF-8 is found again by the server that has it.
odd=$'odd\xff.img'
truncate -s 16M "$odd" even.img
"$TENON" raid create odd --level 1 "$odd" even.img 2>/dev/null || problem "raid create"
export TENON_DEVICES=$work/odd\*.img:$work/even.img
serve md/odd --socket-dir s
expect 0 '' "$TENON" raid fail odd "$odd"
expect 0 '' "$TENON" raid remove odd "$odd"
json "d['degraded']" "$TENON" raid show odd --json
stop

# Open files: the soft limit is raised; where the hard one does not suffice, that is said before anything is served.
rm -f many.img
truncate -s 64M many.img
export TENON_DEVICES=$work/many.img
"$TENON" vg create many many.img --metadata-size 4M --extent-size 128K && python3 "$maker" many.img 150 || exit 1
: >out
(ulimit -Sn 64; exec "$TENON" serve --socket-dir s) >out 2>err &
server=$!
for _ in $(seq 1200); do grep -qs '^ready' out && break; sleep 0.05; done
[ "$(grep -c '^many/' out)" = 150 ] || problem "not all are served with a soft limit of 64: $(cat err)"
json 'len(d) == 150 and all(v["served"] for v in d)' "$TENON" lv list --json
stop
expect 1 '150 disks need [0-9]+ open files, this process may have 160' \
	bash -c 'ulimit -n 160; exec "$0" serve --socket-dir s' "$TENON"
expect 1 'LimitNOFILE' bash -c 'ulimit -n 160; exec "$0" serve --socket-dir s' "$TENON"
rm -f out err
rm -f out err
(ulimit -n 300; exec "$TENON" serve --socket-dir s) >out 2>err &
server=$!
for _ in $(seq 1200); do grep -qs '^ready' out && break; sleep 0.05; done
grep -Eq '150 disks with a machine on each need [0-9]+ open files, this process may have 300: enough for [0-9]+ machines' err ||
	problem "not said that machines will not have enough: $(cat err)"
stop

# Two groups of one name: what a server has is asked of it only where nothing else can be meant.
rm out
truncate -s 16M same1.img same2.img
for i in 1 2; do TENON_DEVICES=$work/same$i.img "$TENON" vg create same same$i.img; done
export TENON_DEVICES=$work/same1.img
serve --socket-dir s same
expect 0 '' "$TENON" lv create same/a --size 4M
[ -S s/same-a.sock ] || problem "same/a was not made by its server: $(cat err)"
expect 1 'same: there are two' "$TENON" lv create same/b --size 4M --device same1.img --device same2.img
expect 0 '' "$TENON" lv create same/c --size 4M --device same2.img
[ ! -e s/same-c.sock ] || problem "same/c was made in another group than that on the device named"
json '[v["name"] for v in d] == ["c"]' "$TENON" lv list --device same2.img --json
expect 0 '' "$TENON" lv extend same/a --size +4M
expect 0 '' "$TENON" lv remove same/a --yes
[ ! -e s/same-a.sock ] || problem "same/a is gone, and its socket is there"
# A clone has the volumes' UUIDs, and they are others.
expect 0 '' "$TENON" lv create same/d --size 4M
cp same1.img copy.img
export TENON_DEVICES=$work/same1.img:$work/copy.img
expect 0 '' "$TENON" vg clone copied copy.img
json '[(v["vg"], v["served"] is None) for v in d] == [("copied", True), ("same", False)]' "$TENON" lv list --json
expect 0 'copied +d +-' "$TENON" lv list -o vg,name,served
export TENON_DEVICES=$work/same1.img
expect 1 'a: no such volume' "$TENON" lv remove same/a --yes
stop

# A change before may have failed: the server writes the metadata anew, and says once if it cannot.
rm out
truncate -s 16M u.img
export TENON_DEVICES=$work/u.img
"$TENON" vg create u u.img && "$TENON" lv create u/x --size 4M && "$TENON" lv create u/y --size 4M
(ulimit -f 1; exec "$TENON" serve --socket-dir s u) >out 2>err &
server=$!
started $server out
[ "$(grep -c 'volume group u: its metadata cannot be written anew: .*u.img' err)" = 1 ] || problem "unsettled, and not said: $(cat err)"
stop

[ $failures = 0 ] || exit 1
echo "passed"
