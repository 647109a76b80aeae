#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Captures that a switch writes by itself: rows of files, whole for tshark and capinfos, in its configuration; what is refused changes nothing.
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"
for tool in tshark capinfos; do command -v $tool >/dev/null || lab_skip "$tool is not installed"; done
shown() { lab_show | python3 -c 'import json, sys
for each in json.load(sys.stdin)["captures"]: print(each["number"], each["path"], each["port"], each["direction"], each["filter"], each["state"], each["lost"])'; }
hosts() {
	lab_host pa tapa 10.0.0.1/24
	lab_host pb tapb 10.0.0.2/24
}
end() {
	lab_end || lab_fail "the switch ended with $?"
	ip netns delete pa; ip netns delete pb
	sleep 0.2
}
packets() { for file; do capinfos -MTrc "$file" | cut -f 2; done | awk '{ sum += $1 } END { print sum + 0 }'; }
keep() { "$TENON" switch capture lab "$@" --keep 2>said || { cat said; lab_fail "capture $*"; }; }

lab_switch lab --port a=tap:tapa --port b=tap:tapb
hosts
keep a -w row.pcapng --filter 'tcp port 5001' --direction in --rotate-size 64K --files 3 --snaplen 200 --segments
keep -w all.pcapng --segments
keep b -w b.pcap
grep -q 'capture 3: the switch goes on with it.*--stop 3' said || lab_fail "$(cat said)"
[ "$(shown)" = "1 $LAB/row.pcapng a in tcp port 5001 recording 0
2 $LAB/all.pcapng None both None recording 0
3 $LAB/b.pcap b both None recording 0" ] || lab_fail "shown: $(shown)"
"$TENON" switch show lab | grep -q "^capture 1, .*/row.pcapng of port a: recording" || lab_fail "$("$TENON" switch show lab)"
lab_transfer pa pb 2000000 10.0.0.2 tcp
"$TENON" switch capture lab --stop 3 2>said || lab_fail "stop: $(cat said)"
grep -q ': [0-9]* packets captured, 0 lost' said || lab_fail "$(cat said)"
[ "$(packets b.pcap)" = "$(sed -n 's/.*: \([0-9]*\) packets captured.*/\1/p' said)" ] || lab_fail "$(cat said), and b.pcap has $(packets b.pcap)"
"$TENON" switch show lab --config >first.json

# What is refused leaves captures that are there as they were: no such port, no room, in use, no capture.
cp b.pcap before.pcap
refused() { # STATUS TEXT WORD...
	local status=$1 text=$2
	shift 2
	timeout 60 "$TENON" switch capture lab "$@" 2>said
	local rc=$?
	[ $rc = "$status" ] && grep -q -- "$text" said || lab_fail "$*: $rc, $(cat said)"
}
refused 1 'port nobody: there is none' nobody -w b.pcap --keep
refused 1 'port nobody: there is none' nobody -w b.pcap
refused 1 'capture 2 of this switch writes that file' -w all.pcapng --keep
ln all.pcapng other.pcapng
refused 1 'capture 2 of this switch writes that file' -w other.pcapng --keep --force
rm other.pcapng
row=$(ls row.0*.pcapng | tail -1)
refused 1 "$row.*process $LAB_PID (.*given twice" -w $row --keep
refuse_port() { # TEXT SPEC
	"$TENON" switch port add lab "$2" 2>said && lab_fail "port add $2"
	grep -q -- "$1" said || lab_fail "port add $2: $(cat said)"
}
refuse_port 'capture 2 of this switch writes that file' x=pcap,record=all.pcapng
echo 'a letter' >letter
refuse_port ',force' x=pcap,record=letter
grep -q -- --force said && lab_fail "port add has no --force: $(cat said)"
"$TENON" switch port add lab x=pcap,record=letter,force || lab_fail "port add with force"
refused 1 'port x of this switch writes that file' -w letter --keep
"$TENON" switch port remove lab x || lab_fail "port remove"
refused 1 'capture 1 of this switch writes that row' -w row.pcapng --keep --rotate-size 64K
ln -s . here
refused 1 'capture 1 of this switch writes that row' -w here/row.pcapng --keep --rotate-size 64K
refused 2 'without --count' -w x.pcapng --keep --count 7
refused 2 'writes a file' -w - --keep
refused 2 'and nothing else' a --stop 1
for word in "-w x.pcapng" "--filter arp" "--direction both" "--snaplen 64" "--format pcap" --segments "--count 7" "--rotate-size 64K" "--rotate-time 5" "--files 2" --force --keep; do
	refused 2 'and nothing else' --stop 1 $word
done
refused 1 'none of that number' --stop 77
refused 1 'No such file' -w no/such/x.pcapng --keep
for i in 4 5 6 7 8 9; do keep -w more$i.pcap; done
refused 1 'it has 8 captures' -w b.pcap --keep
refused 1 'it has 8 captures' -w b.pcap
cmp b.pcap before.pcap || lab_fail "an older capture was touched by what was refused"
for i in 4 5 6 7 8 9; do "$TENON" switch capture lab --stop $i 2>/dev/null || lab_fail "stop $i"; done
"$TENON" switch show lab --config | cmp - first.json || lab_fail "captures that were stopped are in the configuration"
# A port that leaves takes its capture not with it.
"$TENON" switch port remove lab a || lab_fail "port remove"
"$TENON" switch show lab --config >absent.json
end
[ "$(ls row.0*.pcapng | wc -l)" = 3 ] && [ ! -e row.00001.pcapng ] || { ls; lab_fail "files in a row"; }
for file in row.0*.pcapng all.pcapng; do
	capinfos "$file" >infos 2>&1 || lab_fail "$file: $(cat infos)"
	[ "$file" = all.pcapng ] || [ "$(stat -c %s "$file")" -le 66000 ] || lab_fail "$file: $(stat -c %s "$file") bytes"
done
third=$(ls row.0*.pcapng | head -1)
tshark -n -r "$third" -T fields -e frame.interface_name -e frame.packet_flags_direction -e frame.cap_len 2>/dev/null >fields
# Not every tshark has all of the names.
[ -s fields ] && ! awk '$1 != "a" || $NF > 200' fields | grep -q . || lab_fail "a row's file $third: $(head -3 fields)"
[ "$(tshark -n -r all.pcapng -Y 'frame.len > 1514' 2>/dev/null | wc -l)" = 0 ] || lab_fail "--segments"
rm -f ./*.pcapng
mkdir elsewhere
cd elsewhere
lab_switch lab --config ../first.json
hosts
"$TENON" switch show lab --config | cmp - ../first.json || lab_fail "not the same again"
lab_transfer pa pb 300000 10.0.0.2 tcp
end
cd ..
[ "$(packets row.0*.pcapng)" -gt 10 ] && [ "$(packets all.pcapng)" -gt 10 ] && ! ls elsewhere | grep -q pcap || { ls . elsewhere; lab_fail "captures of a configuration"; }

# In a folder whose name JSON cannot have, as it was said.
mkdir $'odd\xff' && cd $'odd\xff'
echo '{"ports": ["a=tap:tapa"], "captures": [{"file": "x.pcapng"}]}' >odd.json
lab_switch lab --config odd.json
"$TENON" switch show lab --config | grep -q '"file": "x.pcapng"' || lab_fail "not in the configuration: $("$TENON" switch show lab --config)"
refused 2 'expected a path in UTF-8' -w y.pcapng --keep
"$TENON" switch mirror lab add m a --to ./z.pcapng 2>said && lab_fail "a mirror into a folder that JSON cannot say"
grep -q 'expected a path in UTF-8' said || lab_fail "mirror add: $(cat said)"
"$TENON" switch capture lab --stop 1 2>said || lab_fail "stop: $(cat said)"
lab_end || lab_fail "the switch ended with $?"
cd ..

# Of a port that comes later.
python3 - <<'PYTHON' || lab_fail "absent: $(cat absent.json)"
import json
captures = json.load(open("absent.json"))["captures"]
assert [each.get("absent") for each in captures] == [True, None], captures
assert captures[0] == {"file": captures[0]["file"], "port": "a", "direction": "in", "snaplen": 200, "format": "pcapng", "segments": True,
                       "rotate_size": 65536, "files": 3, "expression": "tcp port 5001", "absent": True}, captures
PYTHON
rm -f ./*.pcapng
lab_switch lab --config absent.json
"$TENON" switch port add lab a=tap:tapa || lab_fail "port add"
hosts
lab_transfer pa pb 100000 10.0.0.2 tcp
end
[ "$(packets row.0*.pcapng)" -gt 3 ] || { ls; lab_fail "a port that came later"; }

# The end of one that the switch was started with leaves a live one watched: its reader may be killed.
lab_switch lab --port a=tap:tapa --port b=tap:tapb --capture own.pcapng
"$TENON" switch capture lab -w live.pcapng 2>live.out &
live=$!
for _ in $(seq 1200); do [ "$(shown | grep -c recording)" = 2 ] && break; sleep 0.05; done
"$TENON" switch capture lab --stop 1 2>said || lab_fail "stop of its own: $(cat said)"
kill -9 $live
wait $live 2>/dev/null
for _ in $(seq 1200); do [ -z "$(shown)" ] && break; sleep 0.05; done
[ -z "$(shown)" ] || lab_fail "a capture whose reader was killed is there still: $(shown)"
lab_end || lab_fail "the switch ended with $?"

# A mirror into a file: in the configuration, again with it, and at an end with its mirror. What is refused leaves an older capture.
lab_switch lab --port a=tap:tapa --port b=tap:tapb
hosts
cp all.pcapng before.pcapng 2>/dev/null || cp own.pcapng before.pcapng
cp before.pcapng old.pcapng
mirror() { "$TENON" switch mirror lab "$@" 2>said || lab_fail "mirror $*: $(cat said)"; }
refuse_mirror() { # TEXT WORD...
	"$TENON" switch mirror lab add "${@:2}" 2>said && lab_fail "mirror add ${*:2}"
	grep -q -- "$1" said || lab_fail "mirror add ${*:2}: $(cat said)"
}
refuse_mirror 'port nobody: there is none' m nobody --to old.pcapng
refuse_mirror 'port a: there is one of that name' a b --to old.pcapng
refuse_mirror "without ','" m a --to ./odd,old.pcapng
echo 'a letter' >note
refuse_mirror 'note: holds' m a --to ./note
cmp old.pcapng before.pcapng || lab_fail "an older capture was touched by a mirror that was refused"
"$TENON" switch mirror lab list -H | grep -q . && lab_fail "a mirror that was refused is there"
mkdir c
mirror add m a --to c/m.pcapng
lab_transfer pa pb 100000 10.0.0.2 tcp
"$TENON" switch show lab --config >mirror.json
end
[ "$(packets c/m.pcapng)" -gt 10 ] || lab_fail "copies in c/m.pcapng: $(packets c/m.pcapng)"
cd elsewhere
lab_switch lab --config ../mirror.json
hosts
"$TENON" switch show lab --config | cmp - ../mirror.json || lab_fail "a mirror into a file is not the same again"
lab_transfer pa pb 100000 10.0.0.2 tcp
cd ..
mirror remove m
"$TENON" switch port show lab m 2>/dev/null && lab_fail "the recording is there without its mirror"
first=$(packets c/m.pcapng)
[ "$first" -gt 10 ] || lab_fail "copies by a configuration: $first"
mirror add m a:in --to c/m.pcapng
end

# A disk that is full: said, kept in the configuration; and the end says so.
mkdir small && mount -t tmpfs -o size=256k none small
lab_switch lab --port a=tap:tapa --port b=tap:tapb
hosts
keep -w small/x.pcapng --rotate-size 100K
lab_transfer pa pb 2000000 10.0.0.2 tcp
for _ in $(seq 1200); do [ "$(shown | grep -c 'ended: No space left')" = 1 ] && break; sleep 0.05; done
shown | grep -q 'ended: No space left on device [1-9]' || lab_fail "a full disk: $(shown)"
for file in small/x.0*; do capinfos "$file" >infos 2>&1 || lab_fail "$file: $(cat infos)"; done
"$TENON" switch show lab --config | grep -q small/x.pcapng || lab_fail "it is not in the configuration any more"
refused 1 'not whole' --stop 1
end
umount small
lab_done
