#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon switch` between two Linux network stacks on TAPs: ping, TCP and UDP over IPv4 and IPv6 checked by
# content, large frames passed through, a port without offloads (software segmentation and checksums),
# the capture read by tcpdump, `switch show`, the messages for bad ports, and the clean end.
set -u
. "$(dirname "$0")/switch_lib.sh"
lab_enter "$@"

refuse() { # STATUS TEXT ARGUMENT...
	local status=$1 text=$2
	shift 2
	timeout 60 "$TENON" switch "$@" >refused 2>&1
	local rc=$?
	[ $rc = "$status" ] || { cat refused; lab_fail "switch $*: exit status $rc, expected $status"; }
	grep -q -- "$text" refused || { cat refused; lab_fail "switch $*: no \"$text\" in the message"; }
	[ "$status" = 2 ] || [ "$(grep -c '^tenon: ' refused)" = 1 ] || { cat refused; lab_fail "switch $*: not one message"; }
}

# Two hosts with all offloads, one without any.
lab_switch lab --port a=tap:tapa --port b=tap:tapb --port c=tap:tapc,plain --capture x.pcapng
lab_host pa tapa 10.0.0.1/24 fd00::1/64
lab_host pb tapb 10.0.0.2/24 fd00::2/64
lab_host pc tapc 10.0.0.3/24 fd00::3/64
for target in 10.0.0.2 10.0.0.3 fd00::2 fd00::3; do
	timeout 60 ip netns exec pa busybox ping -c 1 -W 30 $target >ping || { cat ping; lab_fail "ping $target"; }
done

lab_transfer pa pb 50000000 10.0.0.2 tcp
lab_transfer pb pa 50000000 fd00::1 tcp
large=$(($(lab_stat a rx_bytes) / $(lab_stat a rx_frames)))
[ $large -gt 3000 ] || lab_fail "frames from a have $large bytes on average: they did not come in large"
[ "$(lab_stat b segmented)" = 0 ] || lab_fail "frames to b were cut in software"
lab_transfer pa pb 60000 10.0.0.2 udp
lab_transfer pa pb 60000 fd00::2 udp 20000	# fragments

# To the plain port everything is cut and summed in software; its stack drops what has a bad checksum.
lab_transfer pa pc 20000000 10.0.0.3 tcp
lab_transfer pa pc 20000000 fd00::3 tcp
lab_transfer pa pc 60000 fd00::3 udp
lab_transfer pc pb 20000000 10.0.0.2 tcp
[ "$(lab_stat c segmented)" -gt 100 ] || lab_fail "nothing was cut for c"
[ "$(lab_stat c checksummed)" -gt 20 ] || lab_fail "nothing was summed for c"
bad=$(ip netns exec pc cat /proc/net/snmp | awk '/^Tcp: [0-9]/ { print $14 }')
[ "$bad" = 0 ] || lab_fail "$bad TCP segments with errors at c"
ip netns exec pc cat /proc/net/snmp6 | grep -E 'Udp6InErrors|Udp6InCsumErrors' | grep -qv '\s0$' && lab_fail "UDP errors at c"

# An idle switch uses no processor time: a hundredth at most of a second that comes when it has done what it had to do. Ticks would count a moment as one.
python3 - $LAB_PID <<'PYTHON' || lab_fail "idle, it uses processor time"
import glob, sys, time
def used(): # by all of its threads, in ns
    return sum(int(open(f).read().split()[0]) for f in glob.glob("/proc/%s/task/*/schedstat" % sys.argv[1]))
for _ in range(60):
    began, before = time.monotonic_ns(), used()
    time.sleep(1)
    share = (used() - before) / (time.monotonic_ns() - began)
    if share <= 0.01:
        sys.exit()
print(share)
sys.exit(1)
PYTHON

"$TENON" switch show lab >shown || lab_fail "switch show"
for word in tapa tapb tapc tso4 'ADDRESS'; do grep -q "$word" shown || { cat shown; lab_fail "no $word in switch show"; }; done
[ "$(lab_show | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["addresses"]))')" -ge 3 ] || lab_fail "addresses"

refuse 1 'running' run lab --socket-dir . --port a=tap:tapz
refuse 1 'none of that name' show other
refuse 2 'PORT=vhost-user' run x --socket-dir . --port a=foo
refuse 2 'PORT=vhost-user' run x --socket-dir . --port a
refuse 2 'given twice' run x --socket-dir . --port a=vhost-user --port a=tap:tapy
# shellcheck disable=SC2046 # a word each
refuse 2 '10000 ports: a switch has at most 256' run x $(seq -f '--port=p%.0f=bond' 10000)
python3 -c 'import json; print(json.dumps({"ports": ["p%d=bond" % i for i in range(10000)]}))' >many.json
refuse 2 '10000 ports: a switch has at most 256' run x --config many.json
refuse 2 'tapy is the one of port a already' run x --socket-dir . --port a=tap:tapy --port b=tap:tapy,plain
refuse 2 '0123456789abcdef' run x --socket-dir . --port a=tap:0123456789abcdef
refuse 1 'no TAP' run x --socket-dir . --port a=tap:lo
refuse 2 'a.b' run x --socket-dir . --port 'a b=vhost-user'
refuse 1 'none-such' run x --socket-dir ./none-such/deeper --port a=vhost-user
refuse 1 'none-such' run x --socket-dir . --capture none-such/x.pcap
long=$(printf 'd%.0s' $(seq 100)); mkdir "$long"
refuse 1 107 run x --socket-dir "$long" --port abc=vhost-user
refuse 2 'socket-dir' run x --port a=vhost-user
refuse 2 usage run
refuse 2 usage show a b
refuse 2 'no verb' frobnicate
[ -z "$(find . -name '*.sock' ! -name 'switch-lab.sock')" ] || { find . -name '*.sock'; lab_fail "refused switches left sockets"; }

# As root tcpdump becomes another user, which a user namespace of one user does not let it.
if command -v tcpdump >/dev/null && [ "$(cat /proc/self/setgroups)" = allow ]; then
	tcpdump -nr x.pcapng 'icmp or icmp6' >dump 2>/dev/null || lab_fail "tcpdump cannot read the capture"
	grep -q '10.0.0.1 > 10.0.0.2: ICMP echo request' dump || { head dump; lab_fail "no echo request in the capture"; }
	tcpdump -nvvr x.pcapng -c 2000 'tcp and host 10.0.0.2' 2>/dev/null | grep -q incorrect && lab_fail "bad checksums in the capture"
fi
lab_end || lab_fail "the switch's exit status was $?"
[ ! -e runtime/switch-lab.sock ] || lab_fail "the control socket is still there"
# On a busy host the capture may lose frames, and says so.
[ "$(grep -cv 'warning: capture x.pcapng: ' switch.out)" = 1 ] || lab_fail "the switch said more than that it is ready"
lab_done
