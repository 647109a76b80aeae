#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What is said of volumes that a server has: by the server, without a look at the devices; and what a listing does with a server
# whose lists have no end.
set -u
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
many=$(realpath tests/bench/many_volumes.py)
cd "$work" || exit 1
export TENON_DEVICES="$work/[a-b].img"
truncate -s 64M a.img b.img
expect 0 '' "$TENON" vg create vg0 a.img b.img
expect 0 '' "$TENON" lv create vg0/root --size 8M
expect 0 '' "$TENON" lv create vg0/both --type raid1 --size 8M
expect 0 '' "$TENON" lv create vg0/left --size 4M
"$TENON" lv show vg0/root --json >looked
"$TENON" serve vg0/root vg0/both --socket-dir s >serve.out 2>&1 &
server=$!
pids+=($server)
wait_for grep -q ready serve.out

# The same as by a look, but for what only the server knows.
json "d['served'].endswith('/s/vg0-root.sock') and d['attributes'] == '-wi-ao----'" "$TENON" lv show vg0/root --json
"$TENON" lv show vg0/root --json >asked
python3 - <<'EOF' || problem 'what the server says is something else'
import json
looked, asked = json.load(open('looked')), json.load(open('asked'))
for one in looked, asked:
    for key in 'served', 'clients', 'attributes':
        one.pop(key)
assert looked == asked, (looked, asked)
EOF
json "[v['attributes'] for v in d if v['name'] == 'root'] == ['-wi-ao----']" "$TENON" lv list --json
synced() { "$TENON" lv show vg0/both --json | python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["synced_percent"] != 100)'; }
wait_for synced
json "d['served']" "$TENON" lv show vg0/both --json
json "d['served'] is None and d['attributes'] == '-wi-------'" "$TENON" lv show vg0/left --json
expect 1 "volume group vg0 has no volume 'none'" "$TENON" lv show vg0/none

# The devices are not looked at: what lies at their paths now is nothing, and the server has those that lay there.
for image in a b; do
	mv $image.img $image.kept
	truncate -s 64M $image.img
done
json "d['served'] and d['segments'][0]['areas'] == ['$work/a.img(0)']" "$TENON" lv show vg0/root --json
for image in a b; do mv $image.kept $image.img; done
# A server that does not answer is passed over.
stop_process $server
json "d['name'] == 'root' and d['served'] is None" "$TENON" lv show vg0/root --json
kill -CONT $server
expect 0 'root +vg0 .* -wi-ao---- ' tr '\n' ' ' < <("$TENON" lv list)
kill $server
wait $server

# Of a table without RAID volumes there is a line each.
expect 0 '' "$TENON" lv remove vg0/both --yes
# There is no end to what it says that there is.
cat >endless.py <<'EOF'
import json, os, socket, sys
path = os.environ['TENON_RUNTIME_DIR'] + f'/serve-{os.getpid()}.sock'
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)
print('ready', flush=True)
line = '-/- 0123456789 + x\n' * 100000
export = [{'id': '0', 'name': 'vg9/x'}] * 20000 if sys.argv[1] != 'long' else [{'id': '0', 'name': 'vg9/x', 'socket': 'x' * (16 << 20)}]
while True:
    client, _ = listener.accept()
    for text in client.makefile('r'):
        request = json.loads(text)
        answer = {'server.describe': {'devices': [], 'arrays': [], 'groups': ['vg9']},
                  'server.lines': {'lines': '' if sys.argv[1] == 'none' else line, 'folder': '/', 'count': 1},
                  'server.exports': {'exports': export, 'more': True}}.get(request['method'])
        try:
            client.sendall((json.dumps({'jsonrpc': '2.0', 'id': request['id'], 'result': answer}) + '\n').encode())
        except OSError:
            break
EOF
for kind in none lines; do
	python3 endless.py $kind >endless.out &
	endless=$!
	pids+=($endless)
	wait_for grep -qs ready endless.out
	expect 0 'root +vg0' "$TENON" lv list
	[ $kind = none ] || expect 0 'it says that there is more than' "$TENON" lv list
	expect 0 'it says that there is more than' "$TENON" lv list --json
	kill $endless
	wait $endless 2>/dev/null
	rm -f run/serve-$endless.sock endless.out
done
# Nor to a few that are long: it is left after 256 MiB, or so many seconds.
python3 endless.py long >endless.out &
endless=$!
pids+=($endless)
wait_for grep -qs ready endless.out
expect 0 'it says that there is more than (1[0-6]|[1-9]) disks' "$TENON" lv list --json
kill $endless
wait $endless 2>/dev/null
rm -f run/serve-$endless.sock

# ---- Answers are cut by their bytes, not only by what is in them ----
truncate -s 2G many.img
"$TENON" vg create many many.img --metadata-size 64M --extent-size 128K && python3 "$many" many.img 2500 || problem 'cannot make a group of many volumes'
launch many.out "$TENON" serve many --device many.img --socket-dir many || problem "no server: $(cat many.out)"
python3 - "run/serve-$launched.sock" <<'EOF' || problem 'the answers of server.exports'
import json, socket, sys
names, largest = [], 0
while True:
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
    client.sendall((json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'server.exports', 'params': {'from': len(names)}}) + '\n').encode())
    line = client.makefile('r').readline()
    answer = json.loads(line)['result']
    largest = max(largest, len(line))
    names += [export['name'] for export in answer['exports']]
    if not answer['more'] or not answer['exports']:
        break
print(len(names), largest)
sys.exit(0 if names == ['many/lv%05d' % i for i in range(2500)] and largest < 300 << 10 else 1)
EOF
[ "$("$TENON" lv list many --device many.img -H -o name | wc -l)" = 2500 ] || problem 'not all volumes are listed'
kill $launched
wait $launched
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
