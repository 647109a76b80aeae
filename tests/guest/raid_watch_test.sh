#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `raid watch` and `mdadm --monitor --program` tell the same story with the same events: those of each array in the same order.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
# How an event is written down, of either; and what the story waits for: an event as often as it was named.
cat >common <<'COMMON'
	# Of percentages mdadm says those that it sees.
	note() { case $1 in Rebuild[0-9]*) set -- RebuildNN "$2" ;; esac; echo "$1 $2${3:+ $3}" >>events; }
	is_told() { [ "$(grep -cx "$*" events)" -ge "$(grep -cx "$*" asked)" ]; }
	told() {
		echo "$*" >>asked
		tries=0
		until is_told "$@"; do
			tries=$((tries + 1))
			[ $tries -lt 3000 ] || { echo "waited in vain for: $*; told was:"; cat events monitor.log; exit 1; }
			sleep 0.1
		done
	}
COMMON
cat >story <<'STORY'
	told TestMessage one
	told TestMessage two
	told SparesMissing one
	# What was seen first is known once something else is told.
	check one
	told RebuildFinished one
	check two
	told RebuildFinished two
	fail one c
	told FailSpare one c
	remove one c
	add one c
	hold one
	fail one b
	told Fail one b
	go_on one
	told RebuildFinished one
	told SpareActive one c
	remove one b
	add one b
	fail two e
	told Fail two e
	told MoveSpare two one
	told RebuildFinished two
	told SpareActive two b
	remove two e
	add two e
	replace two f e
	told RebuildFinished two
	told Fail two f
	told SpareActive two e
	remove two f
	fail two e
	told Fail two e
	remove two e
	write_to two
	re_add two e
	told RebuildFinished two
	told SpareActive two e
	differ one
	check one
	told RebuildFinished one mismatches
	grow_three two g
	told RebuildFinished two
	start_late
	told NewArray late
	told DegradedArray late
	end_late
	told DeviceDisappeared late
STORY
cat common - story >script <<'GUEST'
	set -e
	cd /root
	: >events
	: >asked
	array() { case $1 in one) echo md1 ;; two) echo md2 ;; esac; }
	dev() { echo /dev/ubd$1; }
	now() { echo "$2" >/sys/block/$(array $1)/md/sync_action; }
	# While it does something with a member a moment ago it is busy.
	await() { tries=0; until "$@" 2>&1; do tries=$((tries + 1)); [ $tries -lt 1500 ] || return 1; sleep 0.2; done; }
	fail() { mdadm /dev/$(array $1) --fail $(dev $2) 2>&1; }
	remove() { await mdadm /dev/$(array $1) --remove $(dev $2); }
	add() { mdadm --zero-superblock $(dev $2); mdadm /dev/$(array $1) --add $(dev $2) 2>&1; }
	write_to() { dd if=/dev/zero of=/dev/$(array $1) bs=4k count=1 conv=fsync 2>&1; }
	re_add() { mdadm /dev/$(array $1) --re-add $(dev $2) 2>&1; }
	replace() { mdadm /dev/$(array $1) --replace $(dev $2) --with $(dev $3) 2>&1; }
	check() { now $1 check; }
	hold() { now $1 frozen; }
	go_on() { now $1 idle; }
	differ() { start=$(cat /sys/block/md1/md/dev-ubdc/offset); printf X | dd of=/dev/ubdc bs=1 seek=$((start * 512 + 5000000)) conv=notrunc,fsync 2>&1; }
	grow_three() { mdadm --grow --bitmap=none /dev/md2 2>&1; mdadm /dev/md2 --add $(dev $2) 2>&1; mdadm --grow /dev/md2 --raid-devices=4 2>&1; }
	start_late() { mdadm --create /dev/md3 --run --level=1 --bitmap=none --raid-devices=2 $(dev h) missing 2>&1; }
	end_late() { mdadm --stop /dev/md3 2>&1; }
	echo 4000 >/proc/sys/dev/raid/speed_limit_max
	mdadm --create /dev/md1 --run --level=1 --assume-clean --bitmap=none --raid-devices=2 --spare-devices=1 $(dev a) $(dev b) $(dev c) 2>&1
	mdadm --create /dev/md2 --run --level=5 --assume-clean --bitmap=internal --raid-devices=3 $(dev d) $(dev e) $(dev f) 2>&1
	identity() { mdadm --detail /dev/$1 | sed -n 's/.*UUID : /UUID=/p'; }
	# mdadm 4.4 looks for what it is told of in /dev/md alone, where udev makes links.
	mkdir -p /dev/md
	ln -sf ../md1 ../md2 /dev/md
	echo "ARRAY /dev/md/md1 $(identity md1) spares=2 spare-group=pool" >conf
	echo "ARRAY /dev/md/md2 $(identity md2) spare-group=pool" >>conf
	{ echo '#!/bin/sh'; cat common; cat <<'PROGRAM'; } >program
	cd /root
	name() { case $1 in /dev/md1 | /dev/md/md1) echo one ;; /dev/md2 | /dev/md/md2) echo two ;; /dev/md3 | /dev/md/*) echo late ;; /dev/ubd*) echo ${1#/dev/ubd} ;; *mismatches*) echo mismatches ;; '') ;; *) echo "what is $1" ;; esac; }
	note $1 $(name $2) "$(name "${3-}")"
PROGRAM
	chmod +x program
	mdadm --monitor --scan --config=conf --delay=1 --test --program=/root/program >monitor.log 2>&1 &
	monitor=$!
	trap 'kill $monitor; cp events monitor.log conf /result' EXIT
GUEST
disks=()
for disk in a b c d e f g h; do truncate -s 24M $disk; disks+=(--disk $disk); done
rig_boot uml "${disks[@]}" --with mdadm --modules "raid456 raid1" --memory 384M --file common --script script

# ---- The same with a server and `raid watch` ----
mkdir ours
cd ours
for disk in a b c d e f g h; do truncate -s 24M $disk; done
export TENON_DEVICES="$PWD/?"
: >events
: >asked
{ echo '#!/bin/sh'; cat ../common; cat <<'PROGRAM'; } >program
	name() { case $1 in md/*) echo ${1#md/} ;; /*) echo ${1##*/} ;; mismatches*) echo mismatches ;; '') ;; *) echo "what is $1" ;; esac; }
	note $1 $(name $2) "$(name "${3-}")"
PROGRAM
chmod +x program
say() { "$TENON" raid "$@" >said 2>&1 || rig_fail "raid $*: $(cat said)"; }
fail() { say fail $1 "$PWD/$2"; }
remove() { say remove $1 "$PWD/$2"; }
add() { say add $1 "$PWD/$2"; }
re_add() { say re-add $1 "$PWD/$2"; }
replace() { say replace $1 "$PWD/$2" --with "$PWD/$3"; }
check() { "$TENON" raid check $1 >said 2>&1 || grep -q differ said || rig_fail "raid check: $(cat said)"; }
write_to() { :; }
hold() { :; }
go_on() { :; }
differ() {
	local start
	start=$("$TENON" raid examine c --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["data_offset_bytes"])')
	printf X | dd of=c bs=1 seek=$((start + 5000000)) conv=notrunc status=none
}
grow_three() { say bitmap $1 remove; say grow $1 --devices 4 --add "$PWD/$2"; }
start_late() { say create late --level 1 h missing; rig_daemon late "$TENON" serve --socket-dir late md/late; }
end_late() { kill ${RIG_DAEMON[late]}; }
say create one --level 1 --bitmap none a b --spare c
say create two --level 5 --bitmap internal d e f
rig_daemon served "$TENON" serve --socket-dir s --spare-group pool=one,two md/one md/two
rig_await 60 grep -q ^ready ../served.log
rig_daemon watch "$TENON" raid watch --test --spares one=2 --exec "$PWD/program"
ln -s ../watch.log monitor.log
set +e
. ../common
. ../story
set -e
python3 - "$(rig_results)/events" events <<'PYTHON'
import sys

# What mdadm sees in one look it tells in an order of its own: the end of a rebuild before or behind who came in by it, its beginning before or
# behind who failed, and before or behind who is in sync since a reshape gave it a place.
SWAPS = [("SpareActive", "RebuildFinished"), ("RebuildStarted", "Fail"), ("SpareActive", "Fail")]


def told(path):
    arrays = {}
    for line in open(path):
        words = line.split()
        arrays.setdefault(words[1], []).append(words)
    for events in arrays.values():
        running = False
        for words in events:
            running = words[0] == "RebuildStarted" or running and words[0] != "RebuildFinished"
            if words[0] == "RebuildNN" and not running:
                sys.exit(f"{path}: {words} while nothing runs")
        events[:] = [words for words in events if words[0] != "RebuildNN"]
        for _ in events:
            for i in range(len(events) - 1):
                first, second = events[i], events[i + 1]
                if (first[0], second[0]) in SWAPS and first[2:] != second[2:] or first[0] == "RebuildStarted" and second[::2] == ["SpareActive", "g"]:
                    events[i], events[i + 1] = second, first
    return arrays


theirs, ours = told(sys.argv[1]), told(sys.argv[2])
for array in sorted(theirs | ours):
    if theirs.get(array) != ours.get(array):
        print(f"md/{array}:\n mdadm {theirs.get(array)}\n tenon {ours.get(array)}")
if theirs != ours:
    sys.exit(1)
print(f"{sum(map(len, ours.values()))} events: mdadm and tenon tell the same")
PYTHON
