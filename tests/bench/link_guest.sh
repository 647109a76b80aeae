#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The error of a link's delay beside netem's, in a guest: four pairs of interfaces at the same time, each with a packet every GAP_US
# (netem and a link of the switch, both of DELAY; a plain veth, and the switch without a delay: what is not the link's).
#
#	link_guest.sh [RIG [COUNT [GAP_US [DELAY_MS]]]]		uml 500 20000 20
#
# Prints for each how much later than asked packets came: median, 90 %, 99 %, 99.9 %, the worst, in microseconds.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../guest/rig.sh"
rig_begin
rig=${1:-uml} count=${2:-500} gap=${3:-20000} delay=${4:-20}
tool=$TOP/build/tests/helpers/link_netem
for program in "$tool" "$TENON"; do [ -x "$program" ] || rig_skip "$program is not built"; done
for program in tc ip python3; do command -v $program >/dev/null || rig_skip "$program is not installed"; done
cd "$WORK"
cat >script <<GUEST
set -e
ip=$(command -v ip) tc=$(command -v tc) tenon=tenon count=$count gap=$gap delay=$delay tool=$tool
GUEST
cat >>script <<'GUEST'
export TENON_RUNTIME_DIR=/run/tenon
mkdir -p /run/tenon
pair() { # ONE OTHER
	$ip link add $1 type veth peer name $2
	$ip link set $1 up
	$ip link set $2 up
}
pair netem0 netem1
pair veth0 veth1
$tc qdisc add dev netem0 root netem limit 100000 delay ${delay}ms
ports=
vlan=1
for name in link switch; do
	pair ${name}0 ${name}a
	pair ${name}1 ${name}b
	ports="$ports --port ${name}a=packet:${name}a,vlan=$vlan --port ${name}b=packet:${name}b,vlan=$vlan"
	vlan=$((vlan + 1))
done
$tenon switch run lab $ports >/tmp/switch.log 2>&1 &
for i in $(seq 300); do grep -q ready /tmp/switch.log && break; sleep 0.1; done
grep ready /tmp/switch.log || { cat /tmp/switch.log; exit 1; }
$tenon link set lab linka --direction in --delay ${delay}ms
$tool pace /result $gap netem:$count:100 link:$count:100 veth:$count:100 switch:$count:100
$tenon link show lab --json >/result/shown
GUEST
rig_boot "$rig" --with "$tool" --with tc --with ip --with tenon --modules "veth sch_netem af_packet?" --memory 512M --deadline 300 --script script
python3 - "$(rig_results)" "$count" "$delay" <<'PYTHON' | "$here/keep.py" link
import sys
folder, count, delay = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) * 1000000
for name, asked in (("netem", delay), ("link", delay), ("veth", 0), ("switch", 0)):
    late = sorted((int(line.split()[1]) - asked) / 1000 for line in open(f"{folder}/{name}"))
    at = lambda share: late[min(len(late) - 1, int(share * len(late)))]
    print(f"delay of {name}: later by p50 {at(0.5):.0f} us, p90 {at(0.9):.0f} us, p99 {at(0.99):.0f} us, p99.9 {at(0.999):.0f} us, "
          f"most {late[-1]:.0f} us, the earliest {late[0]:.1f} us; packets {len(late)} of {count}")
PYTHON
