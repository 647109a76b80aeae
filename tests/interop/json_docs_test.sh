#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# docs/json.md is what `--json` prints: every verb that has it, over whole, degraded, recovering and broken arrays, whole
# and partial groups, a server, a switch, and a machine where there can be one.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
page=$PWD/docs/json.md judge=$PWD/tests/interop/json_docs.py
work=$(mktemp -d) || exit 1
processes=()
cleanup() {
	local pid
	for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_STATE_DIR=$work/state TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none TENON_DEVICES=
failures=0
problem() { echo "FAILED line ${BASH_LINENO[0]}: $*"; failures=$((failures + 1)); }
number=0
# takes VERB ARGUMENT...: what it prints is to be judged.
takes() {
	local verb=$1
	shift
	number=$((number + 1))
	# A verb whose words have arguments behind.
	# shellcheck disable=SC2086
	"$TENON" $verb "$@" --json >"json.$number" 2>"said.$number"
	printf '%s\t%s\n' "$verb" "json.$number" >>list
	[ -s "json.$number" ] || problem "'$verb $*' printed nothing: $(cat "said.$number")"
}
do_it() { "$TENON" "$@" >done.out 2>&1 || problem "'$*': $(cat done.out)"; }
await() {
	local end=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $end ] || { problem "waited in vain for: $*"; return 1; }
		sleep 0.1
	done
}

# Whole with a bitmap, degraded with a faulty and a spare member, not assembled, a group with a volume and a hole.
# (o.img and p.img: a group with a move)
truncate -s 64M o.img p.img q.img r.img
truncate -s 64M a.img b.img c.img d.img e.img f.img g.img h.img i.img table.img
export TENON_DEVICES="$work/[a-lo-r].img"
do_it raid create whole --level 1 --bitmap internal a.img b.img
do_it raid create hurt --level 1 c.img d.img
do_it raid fail hurt d.img
do_it raid create broken --level 1 e.img missing
truncate -s 64M j.img k.img l.img
do_it raid create striped --level 0 j.img
do_it raid create ten --level 10 --layout f2 k.img l.img
truncate -s 64M line.img
do_it raid create line --level linear line.img
truncate -s 64M moved1.img moved2.img moved3.img
TENON_DEVICES="$work/moved?.img" do_it raid create moved --level 5 moved1.img moved2.img
TENON_DEVICES="$work/moved?.img" do_it raid grow moved --devices 3 --add moved3.img
TENON_DEVICES="$work/moved?.img" takes 'raid show' moved
do_it vg create vg0 md/whole
do_it vg create partial f.img g.img
do_it vg create moving o.img p.img
do_it vg create copies q.img r.img
do_it lv create copies/two --type raid1 --size 4M
do_it lv create moving/there --size 40M o.img
do_it pv move o.img --no-wait
do_it vg create orphan h.img
do_it vg remove orphan
do_it lv create vg0/root --size 16M --tag fast
do_it lv create partial/wide --size 100M
rm f.img
# Nothing of it is left that has the data.
printf 'XXXX' | dd of=e.img bs=1 seek=4300 conv=notrunc status=none
printf '\x55\xaa' | dd of=table.img bs=1 seek=510 conv=notrunc status=none
printf '\x80\x00\x02\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x10\x00\x00' | dd of=table.img bs=1 seek=446 conv=notrunc status=none
look() {
	takes 'raid list'
	takes 'raid show' whole
	[ -z "${processes[*]}" ] || takes 'raid speed' hurt
	[ -z "${processes[*]}" ] || takes 'raid limit' hurt --iops 100000
	[ -z "${processes[*]}" ] || takes 'raid watch' hurt --oneshot
	takes 'raid show' hurt
	takes 'raid examine' a.img c.img d.img e.img
	takes 'raid examine --kernels' a.img line.img
	takes 'vg list'
	takes 'vg archive'
	takes 'vg show' vg0
	takes 'vg show' partial
	takes 'lv list'
	takes 'image list'
	takes 'image show' table.img
	takes 'lv show' vg0/root
	[ -z "${processes[*]}" ] || takes 'lv limit' vg0/root --iops 100000
	takes 'lv show' partial/wide
	takes 'lv show' copies/two
	takes 'lv show' moving/there
	takes 'pv list'
	takes 'pv show' md/whole
	takes 'pv show' h.img
	takes 'pv check' md/whole h.img
	takes 'vg check' vg0
	takes 'vg check' partial
	takes 'device list' --device a.img --device table.img
	takes 'host check'
	takes status
}
look
grep -q '"role": null' json.* || problem 'no member without a role was in the scene'
grep -q 'is missing' json.* || problem 'no group with a hole was in the scene'

# Served, with a client; an array that recovers, slowly enough to be seen; a switch.
"$TENON" serve vg0 md/hurt moving --socket-dir s >serve.out 2>&1 &
processes+=($!)
"$TENON" switch run lab --socket-dir s --port one=vhost-user --port two=vhost-user --capture lab.pcap >switch.out 2>&1 &
processes+=($!)
await grep -q ready serve.out
await grep -q ready switch.out
no_moves() { "$TENON" status --json >now && grep -q '"moves": \[\]' now; }
await no_moves
do_it pv move p.img --no-wait --rate 16K
# Where nothing is allocated.
printf 'DIFFERS' | dd of=b.img bs=1M seek=40 conv=notrunc status=none
"$TENON" raid check whole >check.out 2>&1 && problem "a difference was not found: $(cat check.out)"
mkfifo hold
python3 -c '
import socket, sys
clients = [socket.socket(socket.AF_UNIX) for _ in sys.argv[1:]]
for client, path in zip(clients, sys.argv[1:]):
    client.connect(path)
print("connected", flush=True)
open("hold").read()' s/vg0-root.sock s/one.sock >client.out 2>&1 &
client=$!
processes+=($client)
await grep -q connected client.out
has_client() { "$TENON" status --json >now && grep -q '"clients": 1' now; }
await has_client
look
takes 'switch show' lab
takes 'switch list'
do_it switch table add lab 02:00:00:00:00:01 one
takes 'switch table list' lab
# A line of what goes on without an end.
first_line() { # VERB NAME
	number=$((number + 1))
	# shellcheck disable=SC2086
	timeout 60 "$TENON" ${1% --watch} "$2" --watch --json 2>"said.$number" | head -n 1 >"json.$number"
	printf '%s\t%s\n' "$1" "json.$number" >>list
	[ -s "json.$number" ] || problem "'$1' printed nothing: $(cat "said.$number")"
}
first_line 'switch table list --watch' lab
first_line 'switch show --watch' lab
first_line 'switch counters --watch' lab
do_it switch filter lab add one in tcp drop
# The switch's name comes before what is done with its rules.
"$TENON" switch filter lab list --json >json.rules 2>said.rules
printf 'switch filter list\tjson.rules\n' >>list
do_it switch mirror lab add copies one:in --to two --vlan 1-9
"$TENON" switch mirror lab list --json >json.mirrors 2>said.mirrors
printf 'switch mirror list\tjson.mirrors\n' >>list
[ -s json.rules ] || problem "the list of rules: $(cat said.rules)"
"$TENON" switch stp lab set || problem "a spanning tree"
"$TENON" switch stp lab show --json >json.tree 2>said.tree
printf 'switch stp show\tjson.tree\n' >>list
[ -s json.tree ] || problem "the tree: $(cat said.tree)"
do_it switch igmp lab set igmp=on,mld=on,querier=on
do_it switch igmp lab set one fast-leave=on
python3 -c '
# A router, and hosts that want a group, another but for a source, and a source of a third.
import struct
def total(data):
    words = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    return 0xffff & ~((words & 0xffff) + (words >> 16))
def frame(to, message):
    message = message[:2] + struct.pack("!H", total(message)) + message[4:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, 1, 2, 0, bytes([10, 0, 0, 1]), bytes(to))
    ip = ip[:10] + struct.pack("!H", total(ip)) + ip[12:]
    whole = bytes([1, 0, 0x5e] + to[1:]) + bytes.fromhex("0200000000010800") + ip + message
    return struct.pack("<IIII", 0, 0, len(whole), len(whole)) + whole
with open("groups.pcap", "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    out.write(frame([224, 0, 0, 1], bytes([0x11, 100, 0, 0, 0, 0, 0, 0])))
    out.write(frame([239, 1, 2, 3], bytes([0x16, 0, 0, 0, 239, 1, 2, 3])))
    out.write(frame([224, 0, 0, 22], bytes([0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 1, 239, 1, 2, 4, 10, 9, 9, 9,
        5, 0, 0, 1, 239, 1, 2, 5, 10, 9, 9, 8])))
'
# Its frames come at once, and a port of the tree would not pass them yet.
do_it switch port add lab three=pcap:groups.pcap,stp=off
is_member() { "$TENON" switch igmp lab show --json >now && grep -q '"source_address": "10.9.9.8"' now; }
await is_member
"$TENON" switch igmp lab show --json >json.groups 2>said.groups
printf 'switch igmp show\tjson.groups\n' >>list
[ -s json.groups ] || problem "the groups: $(cat said.groups)"
for one in snooped_vlan open_port membership; do
	timeout 60 "$TENON" switch igmp lab --watch --json 2>said.groups | grep -m 1 "\"$one\":{" >"json.$one"
	# Who leaves is seen at the next look, also where nothing is to be told.
	[ "${PIPESTATUS[0]}" = 141 ] || problem "a watch whose reader has left goes on: ${PIPESTATUS[*]}"
	printf 'switch igmp show --watch\tjson.%s\n' "$one" >>list
	[ -s "json.$one" ] || problem "no $one is watched: $(cat said.groups)"
done
do_it switch lldp lab set mode=both
python3 -c '
import struct
def tlv(kind, value): return struct.pack("!H", kind << 9 | len(value)) + value
whole = bytes.fromhex("0180c200000e02000000000188cc") + tlv(1, b"\7c") + tlv(2, b"\7p") + tlv(3, b"\377\377") + tlv(7, b"\0\4\0\4") + tlv(0, b"")
with open("neighbour.pcap", "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    out.write(struct.pack("<IIII", 0, 0, len(whole), len(whole)) + whole)
'
do_it switch port add lab four=pcap:neighbour.pcap
is_neighbour() { "$TENON" switch lldp lab show --json >now && grep -q '"chassis_kind": "local"' now; }
await is_neighbour
"$TENON" switch lldp lab show --json >json.neighbours 2>said.neighbours
printf 'switch lldp show\tjson.neighbours\n' >>list
no_dhcp=()
if "$TENON" switch port add lab five=dhcp:10.1.0.1/24,host=02:00:00:00:00:01/10.1.0.9/web,domain=test,router=10.1.0.2 2>said.dhcp; then
	"$TENON" switch dhcp lab show --json >json.dhcp 2>>said.dhcp
	printf 'switch dhcp show\tjson.dhcp\n' >>list
	[ -s json.dhcp ] || problem "DHCP: $(cat said.dhcp)"
else
	grep -qE 'dnsmasq|/dev/net/tun' said.dhcp || problem "DHCP: $(cat said.dhcp)"
	echo "no DHCP: $(cat said.dhcp)"
	no_dhcp=('switch dhcp show' Dhcp DhcpServer Lease)
fi
do_it link set lab one --delay 1ms
takes 'link show' lab
printf 'at 1h\nport one down\n' >script
do_it link schedule lab one script
"$TENON" link schedule lab one show --json >json.schedule 2>said.schedule
printf 'link schedule\tjson.schedule\n' >>list
[ -s json.schedule ] || problem "the schedule: $(cat said.schedule)"
do_it switch lacp lab add six
do_it switch port add lab seven=pcap,record=seven.pcap,bond=six
"$TENON" switch lacp lab show --json >json.bonds 2>said.bonds
printf 'switch lacp show\tjson.bonds\n' >>list
[ -s json.bonds ] || problem "the bonds: $(cat said.bonds)"
takes 'switch reserved' lab lldp=flood
"$TENON" switch vlan lab show --json >json.vlans 2>said.vlans
printf 'switch vlan show\tjson.vlans\n' >>list
[ -s json.vlans ] || problem "the VLANs: $(cat said.vlans)"
takes 'switch port list' lab
takes 'switch port show' lab one
takes 'switch counters' lab
takes 'nic list'
takes 'nic show' lo
takes 'nic stats' lo
takes 'raid test list'
takes 'raid test' raid5-loss
takes 'raid test' raid5-two-losses
takes 'raid test --runs' 3 raid1-power
takes 'raid test --runs' 2 raid5-late-loss
takes 'raid list'
served=$(grep -l '"served": "/.*/s/vg0-root.sock"' json.* | wc -l)
[ "$served" -ge 2 ] || problem "the socket is in $served listings, expected list and show"

# A recovery is under way only for a moment: it is looked for again and again, beside a device that is added and failed.
"$TENON" raid remove hurt d.img >/dev/null 2>&1
for _ in 1 2 3 4 5; do
	"$TENON" raid add hurt i.img --force >/dev/null 2>&1
	for _ in 1 2 3; do takes 'raid show' hurt; takes status; done
	grep -q '"rebuilds": \[$' json.* && break
	"$TENON" raid rebuild hurt >/dev/null 2>&1
	"$TENON" raid fail hurt i.img >/dev/null 2>&1
	"$TENON" raid remove hurt i.img >/dev/null 2>&1
done
unseen=()
grep -q '"rebuilds": \[$' json.* || { echo "no recovery was caught"; unseen+=(Rebuild); }

# A machine: what it runs does not matter.
kernel=$(compgen -G '/boot/vmlinuz*' | head -n 1)
truncate -s 64M m.img
if [ -w /dev/kvm ] && [ -r "${kernel:-/none}" ]; then
	"$TENON" vm run --kernel "$kernel" --memory 128M --disk "$work/m.img" --console vm.out >vm.said 2>&1 &
	processes+=($!)
	await compgen -G "$TENON_RUNTIME_DIR/vm-*.sock" >there && takes status
else
	echo "no machine: /dev/kvm or a kernel in /boot is not there"
	unseen+=(Machine)
fi

# The guest has this program, and what that needs.
if command -v linux.uml >/dev/null && ! ldd "$TENON" | grep -q libasan; then
	takes 'raid test --target both' raid5-ppl
else
	echo "no guest of User Mode Linux: it is not installed, or cannot run this build"
	unseen+=('raid test --target both' LabBoth)
fi

python3 "$judge" "$page" list Range Drops NicTap "${no_dhcp[@]}" "${unseen[@]}" || problem 'the page and the output differ'

# Every verb that says --json in its help is in the page.
for noun in device host link lv nic pv raid switch vg; do
	"$TENON" $noun --help | sed -n "s/^  tenon \($noun [a-z]*\) .*--json.*/\1/p"
done | while read -r verb; do
	grep -q "^| \`$verb[\` ]" "$page" || echo "$verb"
done >missing
[ ! -s missing ] || problem "not in the page: $(cat missing)"
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
