#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Queries of IGMP and MLD that are whole but odd, each shown to a host of Linux's own and to the switch: what the host answers the switch must heed, and what it does
# not answer the switch must not, or a guest could end all memberships by a query that no member hears. The host's interface is a macvlan, which lets through the groups
# that it joined, as a network card does.
# timeout: 1800
set -u
. "$(dirname "$0")/switch_lib.sh"
. "$(dirname "$0")/switch_groups.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
lab_enter "$@"
ip link add probea type veth peer name probeb && ip link add link probeb name probe type macvlan mode bridge 2>said || lab_skip "the kernel has no macvlan: $(cat said)"
ip link delete probea
groups_begin # becomes, awaits

lab_switch lab --port a=tap:tapa --port b=tap:tapb --igmp igmp=on,mld=on
lab_host pa tapa 10.0.0.1/24
lab_host pb tapb 10.0.0.2/24
ip link add veta type veth peer name vetb
ip link set veta netns pa
ip link set vetb netns pb
ip -n pa link set veta addrgenmode none
ip -n pb link set vetb addrgenmode none
ip -n pa link set veta up
ip -n pb link set vetb up
ip -n pb link add link vetb name card type macvlan mode bridge
ip -n pb link set card up
ip -n pb address add 10.0.0.2/24 dev card
ip -n pb address add fe80::2/64 dev card nodad
cat >member.py <<'PYTHON'
import socket, struct, time
index = socket.if_nametoindex("card")
four, six = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
four.setsockopt(0, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", socket.inet_aton("239.1.2.3"), b"\0" * 4, index))
six.setsockopt(41, 20, socket.inet_pton(socket.AF_INET6, "ff0e::77") + struct.pack("I", index))
print("joined", flush=True)
time.sleep(3600)
PYTHON
ip netns exec pb python3 member.py >member.out 2>&1 &
LAB_PIDS+=($!)
awaits grep -q joined member.out || lab_fail "no member: $(cat member.out)"

cat >judge.py <<'PYTHON'
import ipaddress, json, os, select, socket, struct, subprocess, sys, time
def open_at(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((interface, 0))
    return s
host, switch = open_at("veta"), open_at("tapa")
def total(data):
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while value >> 16:
        value = (value & 0xffff) + (value >> 16)
    return struct.pack("!H", ~value & 0xffff)
def summed(data, at, before=b""):
    return data[:at] + total(before + data) + data[at + 2:]
def mac_of(group):
    packed = group.packed
    return b"\x01\x00\x5e" + bytes([packed[1] & 127]) + packed[2:] if group.version == 4 else b"\x33\x33" + packed[12:]
def frame(group="", to="", sources=0, source="", options=None, mac=None, six=False, ttl=1):
    def address(text, other):
        return ipaddress.ip_address(text or other)
    everybody, nobody = ("ff02::1", "::") if six else ("224.0.0.1", "0.0.0.0")
    to = address(to, group or everybody)
    tail = struct.pack("!BBH", 2, 125, sources) + (socket.inet_pton(socket.AF_INET6, "2001:db8::9") if six else b"\x0a\0\0\x09") * sources
    if six:
        source = address(source, "fe80::1")
        message = struct.pack("!BBHHH", 130, 0, 0, 100, 0) + address(group, nobody).packed + tail
        options = bytes([5, 2, 0, 0, 1, 0]) if options is None else options
        message = summed(message, 2, source.packed + to.packed + struct.pack("!II", len(message), 58))
        packet = struct.pack("!IHBB", 6 << 28, 8 + len(message), 0, ttl) + source.packed + to.packed + bytes([58, 0]) + options + message
    else:
        source = address(source, "10.0.0.1")
        message = summed(struct.pack("!BBH", 0x11, 1, 0) + address(group, nobody).packed + tail, 2)
        options = bytes([0x94, 4, 0, 0]) if options is None else options
        header = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0xc0, 20 + len(options) + len(message), 0, 0x4000, ttl, 2, 0) + source.packed + to.packed + options
        packet = summed(header, 10) + message
    return (bytes.fromhex(mac) if mac else mac_of(to)) + bytes.fromhex("020000000099") + (b"\x86\xdd" if six else b"\x08\x00") + packet
def is_report(data):
    return data[14:][9:10] == b"\x02" and data[14 + (data[14] & 15) * 4] == 0x22 if data[12:14] == b"\x08\x00" else data[12:14] == b"\x86\xdd" and data[20] == 0 and data[62] == 143
def reports(seconds, enough):
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and count < enough:
        if select.select([host], [], [], max(0, end - time.monotonic()))[0]:
            data, (_, _, kind, _, _) = host.recvfrom(2048)
            count += kind != socket.PACKET_OUTGOING and is_report(data)
    return count
def heard():
    counters = json.loads(subprocess.run([os.environ["TENON"], "switch", "igmp", "lab", "show", "--json"], check=True, capture_output=True).stdout)["snooping_counters"]
    return counters["igmp_queries"] + counters["mld_queries"], counters["bad"]
G, H, G6, H6 = "239.1.2.3", "239.1.2.4", "ff0e::77", "ff0e::78"
cases = [ # which are answered is up to Linux
    ("general", {}), ("specific", dict(group=G)), ("specific, to all", dict(group=G, to="224.0.0.1")), ("sources", dict(group=G, sources=2)),
    ("of nobody", dict(source="0.0.0.0")), ("no options", dict(options=b"")), ("padding", dict(options=bytes([1, 1, 1, 0]))),
    ("general, sources", dict(sources=1)), ("to another group", dict(group=G, to=H)), ("general, to a group that nobody has", dict(to=H)),
    ("all by the MAC", dict(mac="ffffffffffff")), ("specific, all by the MAC", dict(group=G, mac="ffffffffffff")),
    ("another MAC", dict(mac="01005e010299")), ("specific, another MAC", dict(group=G, mac="01005e010299")),
    ("loopback", dict(source="127.0.0.1")), ("broadcast", dict(source="255.255.255.255")), ("multicast", dict(source="224.0.0.9")),
    ("the host's own", dict(source="10.0.0.2")), ("hops", dict(ttl=64)),
    ("source route", dict(options=bytes([0x83, 3, 4, 0]))), ("an option of nothing", dict(options=bytes([0x94, 0, 0, 0]))), ("an option that is cut", dict(options=bytes([1, 1, 0x94, 4]))),
] + [(name + ", IPv6", dict(more, six=True)) for name, more in [
    ("general", {}), ("specific", dict(group=G6)), ("specific, to all", dict(group=G6, to="ff02::1")), ("sources", dict(group=G6, sources=2)),
    ("padding first", dict(options=bytes([0, 0, 5, 2, 0, 0]))),
    ("general, sources", dict(sources=1)), ("to another group", dict(group=G6, to=H6)), ("general, to a group that nobody has", dict(to=H6)),
    ("all by the MAC", dict(mac="ffffffffffff")), ("specific, all by the MAC", dict(group=G6, mac="ffffffffffff")),
    ("another MAC", dict(mac="333300000099")), ("specific, another MAC", dict(group=G6, mac="333300000099")),
    ("not of the link", dict(source="2001:db8::1")), ("no alert", dict(options=bytes([1, 4, 0, 0, 0, 0]))), ("RSVP's alert", dict(options=bytes([5, 2, 0, 1, 1, 0]))),
    ("padding that is none", dict(options=bytes([5, 2, 0, 0, 1, 9]))), ("a refused option", dict(options=bytes([5, 2, 0, 0, 0xfe, 0]))), ("a hop too many", dict(ttl=2)),
]]
# Where they differ, and it is known: who has which address a switch does not know (docs/vswitch.md); Linux does not look at IPv4's hops, and what is dropped ends nothing.
known = {"the host's own": (True, False), "hops": (False, True)}
answered = wrong = 0
while reports(3, 1):
    pass
for name, more in cases:
    data = frame(**more)
    before = heard()
    switch.send(data)
    # It is heeded, or bad; one of them, soon.
    for _ in range(600):
        after = heard()
        if after != before:
            break
        time.sleep(0.05)
    heeded = after[0] > before[0]
    host.send(data)
    answer = reports(30 if heeded else 2, 1) # who answers does so within a tenth of a second
    while reports(0.5, 1):
        pass
    # The filter is a hash of 8 bits: it may let through one address by chance, but not three.
    for last in ("98", "97") if more.get("mac", "ff")[:2] != "ff" and answer else ():
        host.send(frame(**{**more, "mac": more["mac"][:-2] + last}))
        answer = answer and reports(2, 1)
    answered += answer > 0
    wrong += (heeded, answer > 0) not in ([known[name]] if name in known else [(True, True), (False, False)]) or after == before
    print(name + ":", "answered" if answer else "not answered", "heeded" if heeded else "not heeded", "" if after != before else "but not bad", flush=True)
print(answered, "of", len(cases), "answered,", wrong, "wrong")
sys.exit(wrong != 0 or not 8 < answered < len(cases) - 8)
PYTHON
becomes 'len(s["snooped_vlans"]) > 0'
TENON=$TENON timeout 1700 ip netns exec pa python3 judge.py >judged 2>&1 || lab_fail "the switch and Linux differ: $(cat judged)"
tail -1 judged
lab_end || lab_fail "the switch ended with $?"
lab_done
