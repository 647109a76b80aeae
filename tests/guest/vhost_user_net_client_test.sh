#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# QEMU listens, and the switch connects (`vhost-user:PATH,client`), to both NICs of a stock guest, over split and packed rings; then the switch listens and QEMU
# connects again (`reconnect=1`). The switch is killed (SIGKILL) again and again while the guest sends from one NIC to the other: another one goes on with
# the same rings, and the guest counts frames that were lost, or came twice: no more of these than the switch may have in its hands. Once each with four queue pairs, whose
# frames are of 64 flows. Where the
# switch listens, the guest is first reset under its traffic (QEMU's system_reset), and begins anew. TORTURE=1: 20 times.
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
count=$TOP/build/tests/helpers/frame_count
[ -x "$count" ] || rig_skip "$count is not built"
command -v python3 >/dev/null || rig_skip "python3 is not installed"
cd "$WORK"
kills=${TORTURE:+20}
kills=${kills:-4}
in_hand=32 # frames of a port that a switch has taken and not given back, at most

start() {
	rm -f switch.log # the last one's says "ready"
	rig_daemon switch "$TENON" switch run lab --socket-dir "$WORK/s" --port "a=vhost-user:$WORK/a.sock$switch$pairs" --port "b=vhost-user:$WORK/b.sock$switch$pairs"
	rig_await 60 grep -qs ready switch.log
}
# What frames ended by so far; and the rings are of the kind, and as many, as was asked for.
look() {
	"$TENON" switch show lab --json | python3 -c '
import json, sys
ports = json.load(sys.stdin)["ports"]
print({p["name"]: p["drops"] for p in ports})
sys.exit(any(("packed" in p["features"]) != bool(sys.argv[1]) or sys.argv[2] and sys.argv[2] not in p["features"] for p in ports))' "$1" "${pairs#,}" ||
		rig_fail "the rings are not: ${1:-split} $pairs"
}
# The guest is reset, once it is alive, and is alive once more.
reset() {
	rig_await 120 grep -q '^ALIVE 0' "$(rig_console)" || rig_fail "frames do not pass"
	: >"$(rig_console)"
	python3 - "$WORK/qmp" <<-'PYTHON' || rig_fail "QEMU does not reset the guest"
		import json, socket, sys
		monitor = socket.socket(socket.AF_UNIX)
		monitor.settimeout(60)
		monitor.connect(sys.argv[1])
		lines = monitor.makefile("rw")
		for what in ({"execute": "qmp_capabilities"}, {"execute": "set-action", "arguments": {"reboot": "reset"}}, {"execute": "system_reset"}):
		    lines.write(json.dumps(what) + "\n")
		    lines.flush()
		    while True:
		        answer = json.loads(lines.readline())
		        if "error" in answer:
		            sys.exit(answer["error"])
		        if "return" in answer:
		            break
	PYTHON
}

mkdir s
for way in ,server ,server+packed=on ,server,queues=4 ,again ,again+packed=on ,again,queues=4+packed=on; do
	case $way in ,server*) switch=,client ;; *) switch= ;; esac
	case $way in *,queues=*) pairs=,queues=4 ;; *) pairs= ;; esac
	case $way in *+*) ring=+${way#*+} ;; *) ring= ;; esac
	rm -f qmp ./*.sock
	start
	name=guest${way//[^a-z0-9]/}
	rig_start tcg --name "$name" --nic "vhost-user:a.sock,02:00:00:00:00:0a$way" --nic "vhost-user:b.sock,02:00:00:00:00:0b$way" --qmp qmp \
		--modules virtio_net --with "$count" --memory 192M --script - <<-GUEST
		set -e
		for i in eth0 eth1; do
			echo 1 >/proc/sys/net/ipv6/conf/\$i/disable_ipv6 2>/dev/null || :
			ip link set \$i up
		done
		for i in \$(seq 3000); do [ "\$(cat /sys/class/net/eth0/carrier)\$(cat /sys/class/net/eth1/carrier)" = 11 ] && break; sleep 0.1; done
		: >/tmp/said # tail is not to come first
		$count eth0 eth1 $kills ${pairs#,queues=} >>/tmp/said &
		counts=\$!
		# The console is for what it says: a pipe's end would be lost with the guest.
		tail -f /tmp/said &
		wait \$counts
		tail -n 1 /tmp/said >/result/counted
	GUEST
	[ -n "$switch" ] || reset
	for kill in $(seq 0 $kills); do
		rig_await 120 grep -q "^ALIVE $kill" "$(rig_console)" || { tail -n 20 "$(rig_console)"; "$TENON" switch show lab; rig_fail "frames do not pass after $kill deaths"; }
		[ "$kill" != "$kills" ] || break
		look "$ring"
		rig_kill_daemon switch
		# A link that is up again before the guest looks was never down to it, and it counts deaths by that.
		rig_await 120 grep -q "^DOWN $((kill + 1))" "$(rig_console)" || rig_fail "the guest does not see its links go down"
		start
	done
	rig_wait || rig_fail "the guest ended with $?"
	echo "${way#,}, $kills kills: $(rig_result counted)"
	read -r _ accepted _ refused _ lost _ twice _ strange _ deaf <<<"$(rig_result counted)"
	[ "$strange" = 0 ] && [ "$twice" -le $((kills * in_hand)) ] || rig_fail "what came was not what was sent"
	rig_kill_daemon switch
done
