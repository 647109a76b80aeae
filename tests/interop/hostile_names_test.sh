#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Names as hostile as a disk can carry: whatever shows them, a terminal gets no commands, a path no components, a line
# no second line, and JSON stays JSON.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
server=
stop() { [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"; server=; }
cleanup() { stop; }
cd "$work" || exit 1

cat >tool.py <<'PYTHON'
"""name IMAGE NAME: gives the md superblock 1.2 there another name. text IMAGE OLD NEW: replaces in LVM2 metadata text.
clean: whether standard input may go to a terminal; check: whether the files said.* and json.* may, and the latter,
unless a command failed and has printed none, are JSON."""
import glob, json, re, struct, sys, zlib

def raw(text):
    return text.encode('utf-8', 'surrogateescape').decode('unicode_escape').encode('latin-1')

def name(path, new):
    with open(path, 'r+b') as image:
        image.seek(4096)
        sb = bytearray(image.read(4096))
        sb[32:64] = raw(new)[:32].ljust(32, b'\0')
        sb[216:220] = bytes(4)
        words = (256 + 2 * struct.unpack_from('<I', sb, 220)[0]) // 4
        total = sum(struct.unpack_from('<%dI' % words, sb))
        struct.pack_into('<I', sb, 216, (total & 0xffffffff) + (total >> 32) & 0xffffffff)
        image.seek(4096)
        image.write(sb)

def text(path, old, new):
    crc = lambda data: zlib.crc32(data, 0xf597a6cf ^ 0xffffffff) ^ 0xffffffff
    with open(path, 'r+b') as image:
        start = 4096
        image.seek(start)
        header = bytearray(image.read(512))
        at, length = struct.unpack_from('<QQ', header, 40)
        image.seek(start + at)
        body = image.read(length).replace(old.encode(), raw(new).ljust(len(old), b'x')[:len(old)])
        image.seek(start + at)
        image.write(body)
        struct.pack_into('<I', header, 56, crc(body))
        struct.pack_into('<I', header, 0, crc(bytes(header[4:])))
        image.seek(start)
        image.write(header)

def clean(data):
    decoded = data.decode()  # raises where it is no UTF-8
    bad = re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]', decoded)
    if bad:
        sys.exit('%r at %d' % (decoded[max(0, bad.start() - 30):bad.end() + 30], bad.start()))

if sys.argv[1] == 'name':
    name(*sys.argv[2:])
elif sys.argv[1] == 'text':
    text(*sys.argv[2:])
elif sys.argv[1] == 'clean':
    clean(sys.stdin.buffer.read())
else:
    failed = False
    for path in glob.glob('said.*') + glob.glob('json.*'):
        data = open(path, 'rb').read()
        try:
            clean(data)
            if path.startswith('json') and data:
                json.loads(data)
        except (Exception, SystemExit) as error:
            command = open('command.' + path.split('.')[1], 'rb').read()
            print(command, 'said in', path, error)
            failed = True
    sys.exit(failed)
PYTHON

# shows COMMAND...: keeps what it says on both outputs; checked says whether all that may go to a terminal.
number=0
shows() {
	number=$((number + 1))
	printf '%s\n' "$*" >"command.$number"
	"$TENON" "$@" >"said.$number" 2>&1
}
shows_json() {
	number=$((number + 1))
	printf '%s\n' "$* --json" >"command.$number"
	"$TENON" "$@" --json >"json.$number" 2>"said.$number"
}
checked() {
	python3 tool.py check || problem "of ${1:-these commands}"
	rm -f said.* json.* command.*
}

# ---- Arrays ----
names=('..' 'data/backup' '../../up' '-rf' 'two words' '\x1b[2J\x1b]0;owned\x07' 'line\ntwo' '\x9b31m' '\xc2\x9b31m' '\xff\xfe'
	'a\\\\b' '\xe2\x80\xaeexe.gpj' 'h\xc3\xb6st:d/\xc3\xb6' 'tab\there' '\x7f\x7f' ':' 'node1:' '$(touch owned)')
for i in "${!names[@]}"; do
	truncate -s 8M "a$i.img"
	"$TENON" raid create "n$i" --level 1 "a$i.img" missing --bitmap none >/dev/null 2>&1 || { problem "create $i"; continue; }
	python3 tool.py name "a$i.img" "${names[i]}"
done
export TENON_DEVICES=$work/a\*.img
shows raid list
shows_json raid list
shows raid examine a*.img
shows_json raid examine a*.img
"$TENON" raid list --json 2>/dev/null >all
count=$(python3 -c 'import json; print(len(json.load(open("all"))))')
[ "$count" = ${#names[@]} ] || problem "$count arrays are listed, expected ${#names[@]}"

# Each can be named: by its UUID, and by the name as it is listed, where that is its own.
python3 - >which <<'PYTHON'
import collections, json
rows = json.load(open("all"))
often = collections.Counter(row["name"] for row in rows)
for row in rows:
    print(row["uuid"], row["name"] if often[row["name"]] == 1 and row["name"] else row["uuid"])
PYTHON
while read -r uuid name; do
	shows_json raid show "$name"
	grep -q "\"uuid\": \"$uuid\"" "json.$number" || problem "'$name' does not name array $uuid"
done <which
"$TENON" raid show data/backup >/dev/null || problem "data/backup cannot be named as it is"
shows raid show $'no\033[2Jne'
shows raid fail $'no\nne' $'\xff'
shows lv show $'\033]0;x\a/\x9b'
shows copy $'\033[1m' $'\xff/x'
shows $'\033[7m'
shows raid $'\033[7m'
shows lv create vg/lv --size $'1\033[7m'
shows vg create $'a\033b' a0.img
shows raid create $'a\033b' --level 1 a0.img missing
shows device list
shows raid show "$(head -1 which | cut -d" " -f1)"
checked

# All are served, each at a socket of its own in the one folder; messages too are fit for a terminal.
"$TENON" serve --verbose --degraded --socket-dir s >out 2>err </dev/null &
server=$!
for _ in $(seq 1200); do grep -q '^ready' out && break; kill -0 $server 2>/dev/null || break; sleep 0.05; done
grep -q '^ready' out || problem "not served: $(cat err)"
python3 tool.py clean <out || problem "what serve prints"
python3 tool.py clean <err || problem "what serve logs"
[ "$(grep -c '^md/[^ ]* s/md-[^/ ]*\.sock$' out)" = ${#names[@]} ] || problem "not all are served: $(cat out err)"
[ "$(find s -name 'md-*.sock' | wc -l)" = ${#names[@]} ] || problem "sockets: $(ls -b s)"
[ "$(find . -name '*.sock' ! -path './s/md-*' ! -path './run/serve-*' ! -path './run/disk-*-lease.sock' | wc -l)" = 0 ] || problem "a socket elsewhere"
while read -r uuid name; do
	shows_json raid show "$name"
	"$TENON" copy "md/$name" - 2>/dev/null | cmp -n 1000 - /dev/zero || problem "md/$name cannot be read through the server"
done <which
shows_json raid list

# A peer on the control socket.
python3 - run/serve-*.sock <<'PYTHON' || problem "the control socket's answers"
import json, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
answers = peer.makefile('rb')
for line in (b'{"jsonrpc":"2.0","id":1,"method":"raid.show","params":{"name":"\\u001b[2J\\u009b\\n"}}',
             b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', b'\x1b[2J', b'{"jsonrpc":"2.0","id":"\\u0000","method":"x"}',
             b'{"jsonrpc":"2.0","id":1,"method":"lv.create","params":{"name":"../../x","size":-1}}',
             b'{"jsonrpc":"2.0","id":1,"method":"raid.add","params":{"name":"md/-rf","device":"/dev/\\u001bx"}}',
             b'{"jsonrpc":"2.0","id":1,"method":"server.exports","params":{"from":-5}}'):
    peer.sendall(line + b'\n')
    json.loads(answers.readline())
PYTHON
stop
python3 tool.py clean <err || problem "what serve logs"
checked "what is served"

# ---- Groups ----
truncate -s 64M p.img
export TENON_DEVICES=$work/p.img
"$TENON" vg create victimgroupname p.img --tag firsttagofmany && "$TENON" lv create victimgroupname/victimvolume --size 4M || exit 1
cp p.img clean.img
host=$(hostname)
# Each name in each place takes a minute: all of them only with TORTURE=1, else each name in two places.
places=(victimgroupname victimvolume firsttagofmany "creation_host = \"$host" 'LVM2 metadata')
turn=0
for hostile in '\x1b[2J\x1b[1;1H' '../../../x' 'a\nb' '\xff\xfe\x80' '\xc2\x9b2J' '\x7f\x7f' '-rf' '\xe2\x80\xaex'; do
	for which in "${!places[@]}"; do
		old=${places[which]}
		[ -n "${TORTURE:-}" ] || [ $((turn++ % 3)) = 0 ] || continue
		new=$hostile
		[ "${old#creation}" = "$old" ] || new="creation_host = \"$hostile"
		cp clean.img p.img
		python3 tool.py text p.img "$old" "$new"
		for verb in 'vg list' 'lv list --all' 'pv check p.img' 'pv show p.img'; do
			shows_json $verb
		done
		shows lv list
		shows vg show victimgroupname
		shows_json lv show victimgroupname/victimvolume
		launch out "$TENON" serve --verbose --socket-dir s2 && kill "$launched" # ready, or refused
		wait "$launched"
		cat out >>"said.$number"
		checked "$old as $hostile"
	done
done
[ -e owned ] && problem "a name was carried out"

[ $failures = 0 ] || exit 1
echo "passed"
