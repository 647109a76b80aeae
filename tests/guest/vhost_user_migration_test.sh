#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# QEMU migrates a stock guest with two vhost-user NICs to another QEMU at other ports of the same switch, and back, while it sends from one NIC to the
# other: the switch says where it stands in each ring, goes on there for the other QEMU, and has the guest's addresses at their new ports. The guest
# counts: nothing comes twice, nothing that was not sent. From outside come bursts that are longer than its ring, so that each migration finds frames there
# which it has not looked at. At the end both links are taken down and up by QEMU's monitor. Split and packed rings. TORTURE=1: ten times.
# The guest is stopped meanwhile: QEMU before 9.0 does not see all that a guest without KVM writes while it is copied (pages of its stack were old ones, and it
# ended in an oops, in 3 of 6 runs).
set -eu
. "$(dirname "$0")/rig.sh"
rig_begin
rig_require tcg
count=$TOP/build/tests/helpers/frame_count
[ -x "$count" ] || rig_skip "$count is not built"
command -v python3 >/dev/null || rig_skip "python3 is not installed"
cd "$WORK"
rounds=${TORTURE:+10}
rounds=${rounds:-2}

rig_initrd tcg guest.initrd --modules virtio_net --with "$count" --script - <<-GUEST
	set -e
	for i in eth0 eth1; do
		echo 1 >/proc/sys/net/ipv6/conf/\$i/disable_ipv6 2>/dev/null || :
		ip link set \$i up
	done
	ip address add 10.0.0.1/24 dev eth0
	ip address add 10.0.1.1/24 dev eth1	# only what has an address announces itself
	for i in \$(seq 3000); do [ "\$(cat /sys/class/net/eth0/carrier)\$(cat /sys/class/net/eth1/carrier)" = 11 ] && break; sleep 0.1; done
	: >/tmp/said # tail is not to come first
	$count eth0 eth1 1 >>/tmp/said &
	counts=\$!
	tail -f /tmp/said &
	wait \$counts
	sleep 1
GUEST

# ask N COMMAND...: the monitor of the guest's Nth QEMU.
ask() {
	python3 - "mon$1" "${@:2}" <<-'MONITOR'
		import socket, sys
		monitor = socket.socket(socket.AF_UNIX)
		monitor.settimeout(60)
		monitor.connect(sys.argv[1])
		def answer():
		    got = b""
		    while not got.endswith(b"(qemu) "):
		        more = monitor.recv(65536)
		        if not more:
		            break
		        got += more
		    return got.decode(errors="replace")
		answer()
		for command in sys.argv[2:]:
		    monitor.sendall(command.encode() + b"\n")
		    print(answer())
	MONITOR
}

# qemu N RING [INCOMING]: the guest's Nth, at the ports of even or odd ones.
qemu() {
	local ports=$(($1 % 2))
	rm -f "console$1" "mon$1"
	rig_spawn timeout -k 2 600 qemu-system-x86_64 -accel tcg -cpu max -smp 1,maxcpus=2 -m 192M -nodefaults -no-user-config \
		-machine q35,memory-backend=ram -object memory-backend-memfd,id=ram,size=192M,share=on -display none -no-reboot \
		-chardev "file,id=console,path=$WORK/console$1" -serial chardev:console -monitor "unix:$WORK/mon$1,server=on,wait=off" \
		-kernel "$(rig_kernel tcg)" -initrd guest.initrd -append "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init no_timer_check" \
		-chardev "socket,id=a,path=s/a$ports.sock" -netdev vhost-user,id=na,chardev=a \
		-device "virtio-net-pci,netdev=na,mac=02:00:00:00:00:0a,vectors=0$2" \
		-chardev "socket,id=b,path=s/b$ports.sock" -netdev vhost-user,id=nb,chardev=b \
		-device "virtio-net-pci,netdev=nb,mac=02:00:00:00:00:0b,vectors=0$2" ${3:+-incoming "$3"} </dev/null >"qemu$1.log" 2>&1
	RIG_PID[qemu$1]=$!
}
ended() { # N
	wait "${RIG_PID[qemu$1]}" || :
	unset "RIG_PID[qemu$1]"
}

# Frames to the second NIC, from outside: bursts of 400, ten a second.
cat >outside.py <<-'OUTSIDE'
	import socket, struct, time
	outside = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	for number in range(1 << 24, 1 << 25):
	    frame = bytes.fromhex("02000000000b" "02000000000c" "88b5") + bytes(28) + struct.pack("<II", number, ~number & 0xffffffff) + bytes(200)
	    try:
	        outside.sendto(frame, "s/out")
	    except OSError:
	        time.sleep(0.1) # the switch is not there, or has ended
	    if number % 400 == 0:
	        time.sleep(0.1)
OUTSIDE

# Frames that port $1 sent to its guest.
sent_to() {
	"$TENON" switch show lab --json | python3 -c '
import json, sys
print([p["tx_frames"] for p in json.load(sys.stdin)["ports"] if p["name"] == sys.argv[1]][0])' "$1"
}
more_than() { [ "$(sent_to "$1")" -gt "$2" ]; }
migrated() {
	ask "$1" "info migrate" >status
	grep -Eq 'Migration status: (completed|failed)' status
}
trouble() {
	tail -n 5 console* qemu*.log
	"$TENON" switch show lab
	rig_fail "$*"
}

for ring in "" ,packed=on; do
	mkdir -p s
	rig_daemon switch "$TENON" switch run lab --socket-dir "$WORK/s" --port a0=vhost-user --port b0=vhost-user --port a1=vhost-user --port b1=vhost-user \
		--port "out=qemu-dgram:$WORK/s/out,remote=$WORK/s/nobody"
	rig_await 60 grep -qs ready switch.log
	rig_daemon outside python3 outside.py
	qemu 0 "$ring"
	rig_await 150 grep -qs "^ALIVE 0" console0 || trouble "no frames"
	for n in $(seq "$rounds"); do
		qemu "$n" "$ring" "unix:$WORK/migration"
		rig_await 60 listens migration
		before=$(sent_to "b$((n % 2))")
		ask $((n - 1)) stop "migrate -d unix:$WORK/migration" >/dev/null
		rig_await 150 migrated $((n - 1)) || trouble "migration $n does not end"
		grep -q "status: completed" status || trouble "migration $n: $(cat status)"
		ask $((n - 1)) quit >/dev/null 2>&1 || : # it hangs up
		ended $((n - 1))
		rm -f migration
		ask "$n" cont >/dev/null
		rig_await 60 more_than "b$((n % 2))" $((before + 2000)) || trouble "frames do not pass after $n migrations"
	done
	ask "$rounds" "set_link na off" "set_link nb off" >/dev/null
	rig_await 60 grep -q "^DOWN 1" "console$rounds" || trouble "the guest does not see its links go down"
	ask "$rounds" "set_link na on" "set_link nb on" >/dev/null
	rig_await 120 grep -q "^accepted" "console$rounds" || trouble "frames do not pass after the links were down"
	ended "$rounds"
	counted=$(tr -d '\r' <"console$rounds" | grep "^accepted")
	echo "${ring:-split}, $rounds migrations: $counted"
	read -r _ accepted _ refused _ lost _ twice _ strange _ deaf <<<"$counted"
	[ "$strange" = 0 ] && [ "$twice" = 0 ] || rig_fail "what came was not what was sent"
	rig_kill_daemon outside
	kill "${RIG_DAEMON[switch]}"
	wait "${RIG_DAEMON[switch]}" || rig_fail "the switch ended with $?"
	unset "RIG_DAEMON[switch]"
	rm -rf s console* qemu*.log
done
