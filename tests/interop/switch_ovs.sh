# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Open vSwitch beside ours, with its userspace datapath, for tests with switch_lib.sh; to be sourced after it.
#
#	ovs_start [COMMAND...]	starts its database and, by COMMAND (as `ip netns exec NAME`), its switch, in the lab's folder
#	vsctl ARGUMENT...	ovs-vsctl, of that database
#	ovs_ask ARGUMENT...	ovs-appctl, of that switch
#	ovs_sum INTERFACE	has INTERFACE's kernel sum at once what Open vSwitch gets: it takes what is left to be summed for damaged,
#				and on a veth nobody sums (its own tests switch that off, too)

vsctl() { ovs-vsctl --timeout=60 --db="unix:$LAB/db.sock" "$@"; }
ovs_ask() { timeout 60 ovs-appctl -t "$LAB/vs.ctl" "$@"; }

ovs_start() {
	export OVS_RUNDIR=$LAB OVS_LOGDIR=$LAB OVS_DBDIR=$LAB OVS_SYSCONFDIR=$LAB
	ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema
	lab_background ovsdb-server conf.db --remote="punix:$LAB/db.sock" --pidfile=db.pid --log-file=db.log 2>/dev/null
	for _ in $(seq 600); do listens "$LAB/db.sock" && break; sleep 0.1; done
	vsctl --no-wait init
	lab_background "$@" ovs-vswitchd "unix:$LAB/db.sock" --pidfile="$LAB/vs.pid" --unixctl="$LAB/vs.ctl" --log-file=vs.log --disable-system 2>/dev/null
}

ovs_sum() {
	python3 - "$1" <<'PYTHON'
import array, fcntl, socket, struct, sys
ETHTOOL_STXCSUM, SIOCETHTOOL = 0x17, 0x8946
value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
request = struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0])
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), SIOCETHTOOL, request)
PYTHON
}
