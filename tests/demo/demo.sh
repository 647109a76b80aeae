#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Shows tenon's main job on real input: two stock Debian guests whose disks are volumes on a mirror and
# which talk through a switch, all in user processes; a disk fails and is replaced while they run.
# Usage: demo.sh [--engine kvm|qemu] [--keep]
#
# Everything is in a temporary folder, which is removed in the end (--keep keeps it). Needs no root.
set -eu
. "$(dirname "$0")/../guest/rig.sh"
. "$(dirname "$0")/guests.sh"
engine=auto
while [ $# -gt 0 ]; do
	case $1 in
	--engine) engine=${2-}; shift ;;
	--engine=*) engine=${1#*=} ;;
	--keep) RIG_KEEP=1 ;;
	*) engine=wrong ;;
	esac
	[ $# = 0 ] || shift
done
case $engine in
auto | kvm | qemu) ;;
*) echo "usage: demo.sh [--engine kvm|qemu] [--keep]" >&2; exit 2 ;;
esac

bold= dim= plain=
if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-dumb}" != dumb ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi
# Lines are as wide as the terminal, and end between words.
wide=$(tput cols 2>/dev/null || echo 80)
[ "$wide" -ge 40 ] 2>/dev/null || wide=80
folded() { fold -s -w $((wide - ${1:-0})) | sed 's/ *$//'; }
step() { echo; echo "$*" | folded | sed "s/.*/$bold&$plain/"; }
say() { echo "$*" | folded 4 | indent; }
# A command as it can be pasted, in lines that end with a backslash.
show() {
	local word line='' first=1
	for word in "$@"; do
		case $word in
		'&' | '|') ;;
		*\'*) word=$(printf %q "$word") ;;
		*[!a-zA-Z0-9_./:=,@%+-]*) word="'$word'" ;;
		esac
		if [ -n "$line" ] && [ $((${#line} + ${#word} + 5)) -gt "$wide" ]; then
			echo "  $dim$([ $first = 1 ] && echo '$' || echo ' ') $line \\$plain"
			first=0 line="  $word"
		else
			line="$line${line:+ }$word"
		fi
	done
	echo "  $dim$([ $first = 1 ] && echo '$' || echo ' ') $line$plain"
}
# Shows a command, runs it, and stops the demo with its message if it fails.
run() {
	show "$@"
	"$@" || rig_fail "the command above ended with status $?"
}
# A dot a second while something takes long, on a terminal.
dots=
begin_dots() {
	[ -t 1 ] || return 0
	printf '    '
	while sleep 1 && kill -0 $$ 2>/dev/null; do printf .; done &
	dots=$!
}
end_dots() {
	[ -n "$dots" ] || return 0
	kill "$dots" 2>/dev/null || :
	wait "$dots" 2>/dev/null || :
	dots=
	echo
}
tenths() { echo $(($1 / 10)).$(($1 % 10)); }
indent() { sed 's/^/    /'; }

# --- The engine -----------------------------------------------------------------------------------

PARAMETERS="console=ttyS0 quiet loglevel=3 panic=-1"

# A field of what `tenon host check` says about KVM.
host_kvm() {
	tenon host check --json | python3 -c '
import json, sys
print(*[row[sys.argv[1]] for row in json.load(sys.stdin) if row["feature"] == "kvm"])' "$1"
}

# Does our monitor get Linux to its init here? Found out in the background, while other things are done.
PROBE_SECONDS=12
start_probe() {
	[ $engine = auto ] && [ "$(host_kvm available)" = True ] || return 0
	case $(host_kvm meaning) in *"too slow"*) return 0 ;; esac
	rig_daemon probe timeout -s KILL $PROBE_SECONDS tenon vm run --kernel "$KERNEL" --initrd boot.cpio --memory 256M \
		--cmdline "$PARAMETERS demo=probe" --console stdio
}

choose_engine() {
	local status=0 qemu="engine: QEMU without KVM, on the same sockets. Why:"
	case $engine in
	kvm) say "engine: our own monitor on KVM (you asked for it)"; return ;;
	qemu) say "engine: QEMU without KVM (you asked for it)"; return ;;
	esac
	engine=qemu
	if [ -z "${RIG_DAEMON[probe]-}" ]; then
		say "$qemu $(host_kvm found): $(host_kvm meaning)"
		return
	fi
	{ wait "${RIG_DAEMON[probe]}" || status=$?; } 2>/dev/null
	unset "RIG_DAEMON[probe]"
	if grep -aq '^@ probe' probe.log; then
		engine=kvm
		say "engine: our own monitor. Why: this machine's KVM brings Linux to its init" \
			"in $(sed -n 's/\r//; s/^@ probe //p' probe.log)"
	elif [ $status = 137 ]; then
		say "$qemu this machine's KVM did not bring Linux to its init within $PROBE_SECONDS s"
	else
		say "$qemu our monitor says: $(tail -n 1 probe.log)"
	fi
}

declare -A TYPE=()
# $1: which guest. Its console is the file console-$1; what is written to ${TYPE[$1]} is typed there.
start_guest() {
	local name=$1 command fd number
	[ "$name" = one ] && number=1 || number=2
	# Without KVM, QEMU 7.2 dies when a vhost-user NIC uses MSI-X (vectors=0), and leaves out memory barriers, so that signals are lost, if no second
	# processor can come (maxcpus=2). On a busy host Linux may take its timer for broken (no_timer_check).
	if [ $engine = kvm ]; then
		command=(tenon vm run --kernel "$KERNEL" --initrd boot.cpio --cmdline "$PARAMETERS" --memory 256M
			--disk "vhost-user:$SOCKETS/demo-$name.sock" --nic "vhost-user:$SOCKETS/$name.sock" --console stdio)
	else
		command=(qemu-system-x86_64 -accel tcg -smp 1,maxcpus=2 -m 256M -nodefaults -no-user-config -no-reboot -display none
			-machine q35,memory-backend=ram -object memory-backend-memfd,id=ram,size=256M,share=on
			-chardev stdio,id=console,signal=off -serial chardev:console
			-kernel "$KERNEL" -initrd boot.cpio -append "$PARAMETERS no_timer_check"
			-chardev "socket,id=disk,path=$SOCKETS/demo-$name.sock"
			-device vhost-user-blk-pci,chardev=disk,num-queues=1
			-chardev "socket,id=nic,path=$SOCKETS/$name.sock" -netdev vhost-user,id=net,chardev=nic
			-device "virtio-net-pci,netdev=net,mac=52:54:00:00:00:0$number,vectors=0")
	fi
	show "${command[@]}" '&'
	mkfifo "$WORK/type-$name"
	exec {fd}<>"$WORK/type-$name"
	TYPE[$name]=$fd
	rig_spawn "${command[@]}" <"$WORK/type-$name" >"$WORK/console-$name" 2>&1
	RIG_DAEMON[guest-$name]=$!
}

# Types `stop` on the console of guest $1 until it has heard; a serial line may lose characters.
stop_guest() {
	local try
	for try in 1 2 3 4 5 6 7 8 9 10; do
		printf '\nstop\n' >&"${TYPE[$1]}"
		rig_await 2 grep -aq '^@ stopping' "$WORK/console-$1" 2>/dev/null && return
	done
	rig_fail "guest $1 does not hear what is typed on its console"
}

files_written() { grep -ac '^@ file' "$WORK/console-$1" || :; }
guest_said() { sed -n "s/\r//; s/^@ \($2.*\)/guest $1: \1/p" "$WORK/console-$1" | tail -n 1 | indent; }

# Waits up to $3 s for a line of the guest $1.
await_guest() {
	local end=$((SECONDS + $3))
	until grep -aq "^@ $2" "$WORK/console-$1"; do
		if [ $SECONDS -ge $end ] || ! kill -0 "${RIG_DAEMON[guest-$1]}" 2>/dev/null; then
			tail -n 20 "$WORK/console-$1" | indent >&2
			rig_fail "guest $1 did not say '$2'; the end of its console is above"
		fi
		sleep 0.1
	done
	guest_said "$1" "$2"
}

# Waits until both guests have written $1 more files than when it was called.
await_files() {
	local name end=$((SECONDS + 60)) before=()
	before=("$(files_written one)" "$(files_written two)")
	until [ "$(files_written one)" -ge $((before[0] + $1)) ] && [ "$(files_written two)" -ge $((before[1] + $1)) ]; do
		[ $SECONDS -lt $end ] || rig_fail "the guests stopped writing files (consoles: --keep)"
		sleep 0.2
	done
	say "files written and synced so far: guest one $(files_written one), guest two $(files_written two)"
}

show_mirror() {
	show tenon raid show mirror '|' sed -n '/^State/p; /^Members/,/^Served/p' '|' cut -c 1-76
	tenon raid show mirror | sed -n '/^State/p; /^Members/,/^Served/p' | cut -c 1-76 | indent
}

end_process() {
	local pid=${RIG_DAEMON[$1]} status=0
	unset "RIG_DAEMON[$1]"
	[ "${2-}" = "" ] || kill "-$2" "$pid"
	wait "$pid" || status=$?
	[ $status = 0 ] || { tail -n 20 "$WORK/$1.log" 2>/dev/null | indent >&2; rig_fail "$1 ended with status $status"; }
}

# --- The demo -------------------------------------------------------------------------------------

began=$SECONDS
rig_begin
rig_require tcg
rig_require uml
[ -x "$TENON" ] || rig_fail "$TENON is not built; run make"
mkdir -p "$WORK/bin"
ln -s "$TENON" "$WORK/bin/tenon"
PATH=$WORK/bin:$PATH:/usr/sbin:/sbin
cd "$WORK"
KERNEL=$(rig_kernel tcg)
SOCKETS=sockets
mkdir "$SOCKETS"
export TENON_DEVICES="$WORK/disk*.img"
make_initramfs
start_probe
say "Everything happens in $WORK; nothing needs root. The commands can be pasted while it is there (--keep), after:"
show cd "$WORK"
show export TENON_DEVICES="$TENON_DEVICES" TENON_RUNTIME_DIR="$TENON_RUNTIME_DIR"
echo "  $dim\$ export PATH=$WORK/bin:\$PATH:/usr/sbin$plain"

step "1. Two disk images, a mirror over them, a volume group on the mirror, two volumes"
run truncate -s 768M disk0.img disk1.img
run tenon raid create mirror --level 1 disk0.img disk1.img
run tenon vg create demo md/mirror
run tenon lv create demo/one --size 320M
run tenon lv create demo/two --size 320M
run tenon lv list

step "2. A root file system for each guest (built without root, not mounted), copied into the volumes"
make_root one 10.0.0.1 10.0.0.2 320M 128M &
making=$!
make_root two 10.0.0.2 10.0.0.1 320M 128M
wait $making
run tenon copy root-one.ext4 demo/one
run tenon copy root-two.ext4 demo/two

step "3. The storage server (a vhost-user-blk socket for each volume) and the switch"
show tenon serve demo --socket-dir $SOCKETS '&'
rig_daemon serve tenon serve demo --socket-dir "$SOCKETS"
show tenon switch run lan --socket-dir $SOCKETS --port one=vhost-user --port two=vhost-user --capture lan.pcap '&'
rig_daemon switch tenon switch run lan --socket-dir "$SOCKETS" --port one=vhost-user --port two=vhost-user \
	--capture lan.pcap
for socket in demo-one demo-two one two; do
	rig_await 10 listens "$SOCKETS/$socket.sock" || { cat serve.log switch.log >&2; rig_fail "no $socket.sock"; }
done

step "4. Two guests: Debian's stock kernel ${KERNEL##*/vmlinuz-}, root on /dev/vda"
choose_engine
start_guest one
start_guest two
for guest in one two; do await_guest $guest up 90; done

step "5. They ping each other and write files; a disk of the mirror fails and is replaced meanwhile"
for guest in one two; do await_guest $guest ping 60; done
await_files 3
run tenon raid fail mirror disk1.img
show_mirror
say "the mirror is down to one disk; the guests go on:"
await_files 5
run tenon raid remove mirror disk1.img
run truncate -s 768M disk2.img
start=${EPOCHREALTIME/[.,]/}
run tenon raid add mirror disk2.img
# Guests go first, and these never pause: it would be 1000 KiB a second, as md's, and a quarter of an hour.
run tenon raid speed mirror --min 100M
run tenon raid rebuild mirror
took=$((${EPOCHREALTIME/[.,]/} - start)) size=$(stat -c %s disk2.img)
say "the new disk of $((size >> 20)) MiB is in sync $(tenths $((took / 100000))) s after it was added: $((size / took)) MB/s"
await_files 3
show_mirror
run tenon switch show lan

step "6. A clean end, and proofs by tools that are not ours"
for guest in one two; do stop_guest $guest; done
for guest in one two; do
	await_guest $guest pings 30
	await_guest $guest root 30
	end_process guest-$guest
done
end_process switch TERM
end_process serve TERM
say "guests, switch and storage server have ended"

show mdadm --examine disk0.img disk2.img
mdadm --examine disk0.img disk2.img >examine
grep -E 'disk|Name|Raid Level|State :|Events|Array State' examine | indent
[ "$(grep -c 'State : clean' examine)" = 2 ] && [ "$(grep -c 'Array State : AA' examine)" = 2 ] ||
	rig_fail "mdadm does not find two clean members"
[ "$(sed -n 's/.*Events : //p' examine | sort -u | wc -l)" = 1 ] || rig_fail "the members differ in their event counts"

offset=$(sed -n 's/.*Data Offset : \([0-9]*\) sectors/\1/p' examine | head -n 1)
say "pvck, on the start of the mirror's data (disk0.img from sector $offset):"
dd if=disk0.img of=array.img bs=1M iflag=skip_bytes skip=$((offset * 512)) count=16 status=none
truncate -s 766M array.img # the rest is not looked at
show pvck --dump headers array.img
LVM_SUPPRESS_FD_WARNINGS=1 lvm pvck --dump headers array.img >pvck 2>&1 || { indent <pvck >&2; rig_fail "pvck found faults"; }
grep -E 'label_header at|pv_header.pv_uuid|metadata text at' pvck | indent
grep -q 'metadata text at' pvck || rig_fail "pvck found no metadata"

captured=$(python3 "$DEMO/capture.py" lan.pcap) || rig_fail "the capture has no ping in it: $captured"
say "frames captured: $captured"

say "the real kernel (User Mode Linux) boots, assembles these disks with its own md and dm, compares the mirror's halves," \
	"checks both file systems, and sums up every file that the guests wrote:"
begin_dots
for guest in one two; do
	# A guest keeps the last thousand; not every line of a console comes whole.
	sed -n 's|.*@ file \(data/[0-9]*\) \([0-9a-f]\{32\}\)\r*$|\2  \1|p' "console-$guest" |
		tail -n 900 >"sums-$guest"
	[ -s "sums-$guest" ] || rig_fail "guest $guest reported no files"
	echo "$(md5sum <"root-$guest/root/noise" | cut -d ' ' -f 1)  root/noise" >>"sums-$guest"
done
{ echo '#!/bin/sh'; echo 'GUESTS="one two"'; tail -n +2 "$DEMO/check_guest"; } >check
rig_boot uml --name judge --disk disk0.img --disk disk2.img --with mdadm --with lvm2 --with e2fsck --modules raid1 \
	--file sums-one --file sums-two --script check
end_dots
grep -aE '^(members in sync|check of|volume )' "$(rig_console judge)" | tr -d '\r' | indent

echo
echo "${bold}All of it held.$plain The whole demo took $((SECONDS - began)) s."
