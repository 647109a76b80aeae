# SPDX-License-Identifier: BSD-2-Clause
# Boots real Linux kernels for tests: builds an initramfs, boots it, runs a script in it, and brings
# back the script's exit status and files. To be sourced by a test (bash):
#
#     . "$(dirname "$0")/rig.sh"
#     rig_begin
#     truncate -s 64M "$WORK/d0.img" "$WORK/d1.img"
#     "$TENON" raid create ...
#     rig_boot uml --disk d0.img --disk d1.img --with mdadm --script - <<'GUEST'
#     set -e
#     mdadm --assemble --run /dev/md0 $DISKS
#     cat /sys/block/md0/md/mismatch_cnt >/result/mismatch_cnt
#     GUEST
#     [ "$(rig_result mismatch_cnt)" = 0 ]
#
# Rigs:
#     uml   Debian's User Mode Linux. Quickest; computes at native speed; needs no KVM. Disks are files.
#           It is run so that it loses no interrupts (README.md).
#     tcg   QEMU without KVM, Debian's cloud kernel. Disks are files or vhost-user-blk sockets.
#     svm   as tcg, with emulated AMD virtualisation: /dev/kvm in the guest is real.
#     kvm   QEMU with the host's KVM; rig_kvm_usable says whether that runs Linux.
#
# rig_begin                  sets WORK (temporary folder, removed at the end; RIG_KEEP=1 keeps it),
#                            TENON (build/tenon) and TOP (the project). Paths below that are not
#                            absolute are relative to WORK. Also skips if packages are missing, and
#                            gives tenon a runtime folder and a devices file of the test's own.
# rig_boot RIG OPTION...     boots, waits, returns the script's exit status. If that is not 0, the end
#                            of the console is shown. 124: past the deadline. 125: no results came.
# rig_start RIG OPTION...    boots and returns; rig_wait [NAME] is the rest of rig_boot.
#     --name NAME            what the guest is called if there are several (guest)
#     --disk FILE[:ro|:shared]  a disk, raw. shared, of User Mode Linux: not locked (from 6.10 on its disks are locked while it runs)
#     --disk vhost-user:SOCKET[,OPTIONS][+OPTIONS]: served by somebody else;
#                            QEMU's options for its chardev (reconnect=1) and device (packed=on)
#     --nic vhost-user:SOCKET[,MAC][,server|,again][,queues=N][+OPTIONS]  server: QEMU listens; again: it connects again; queue pairs; QEMU's options
#                            for its device
#     --qmp SOCKET           where QEMU's monitor is to listen
#     --with THING           brings along mdadm, lvm2, e2fsprogs, thin, tenon, or any program of the host
#     --modules "A B"        loads kernel modules, with what they need; order and _ or - do not matter
#     --file FILE[:DEST]     puts a file or folder into the guest (default: its /root)
#     --script FILE|-        what to run; it may have a #! line. --run 'COMMANDS' is the short form
#     --memory 256M  --cpus 1 (more: tcg, in turn, and kvm)  --deadline 1600 (seconds)  --append 'KERNEL PARAMETERS'
#     --result-size 64M      how much the script may leave in /result
#     In the guest, DISKS lists the disks, DISK0, DISK1 ... are the single ones; /result takes files;
#     what the script writes to standard output is on the console.
# rig_start_shell FOLDER OPTION...  boots a guest of User Mode Linux whose script is a shell for another process of the host: what that
#                            writes to FOLDER/to, lines of commands, is answered in FOLDER/from, after READY, by what they print
#                            and "== STATUS"; QUIT ends it. Both are made if they are not there.
# rig_stop [NAME]            ends a guest at once.
# rig_result FILE [NAME]     prints a file that the script left in /result (the folder: rig_results).
# rig_console [NAME]         path of the log of the console.
# rig_initrd RIG OUT OPTION...  only builds the initramfs (for a monitor under test, or for a guest in
#                            a guest); rig_kernel RIG is the kernel for it. Without --disk the script's
#                            results are not collected.
# rig_daemon NAME COMMAND... runs a server on the host until the test ends, log in WORK/NAME.log; rig_kill_daemon NAME: SIGKILL.
# rig_await SECONDS COMMAND...  repeats the command until it succeeds; fails after SECONDS, or 300, as a processor may be shared with many.
# rig_skip REASON, rig_fail REASON  end the test.
#
# Two boots, of one test or of several, do not see each other. Every process is ended by its process
# group when the test ends, and by its deadline if the test itself is killed.

RIG_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$RIG_DIR/../.." && pwd)
TENON=${TENON:-$TOP/build/tenon}
RIG_CACHE=$TOP/build/guest
RIG_EVENTS=$TOP/build/uml-events.so
declare -A RIG_PID=() RIG_DEADLINE=() RIG_DAEMON=()
RIG_LAST=guest

. "$RIG_DIR/image.sh"
. "$RIG_DIR/golden.sh"
. "$TOP/tests/place.sh"
. "$TOP/tests/processes.sh"

rig_skip() { echo "$*"; exit 77; }
rig_fail() { echo "failed: $*" >&2; exit 1; }

rig_begin() {
	local tool
	PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # an ordinary user lacks them
	for tool in /bin/busybox cpio depmod timeout setsid; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || rig_skip "there is no $tool here"
	done
	/bin/busybox --list 2>/dev/null | grep -qx insmod || rig_skip "busybox-static is not installed"
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/tenon-XXXXXX")
	mkdir -p "$RIG_CACHE"
	export TENON_RUNTIME_DIR=$WORK/runtime TENON_DEVICES_FILE=$WORK/devices
	unset TENON_DEVICES
	trap rig_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Ends a process group that rig_spawn started, politely at first.
rig_end_group() {
	local pid=$1 tries
	kill -TERM -- "-$pid" 2>/dev/null || :
	for tries in $(seq 30); do
		kill -0 -- "-$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
}

rig_end() {
	local status=$? name
	set +e
	trap - EXIT
	trap '' INT TERM HUP
	for name in ${RIG_PID[@]+"${!RIG_PID[@]}"}; do rig_kill "$name"; done
	for name in ${RIG_DAEMON[@]+"${!RIG_DAEMON[@]}"}; do rig_end_group "${RIG_DAEMON[$name]}"; done
	{ wait; } 2>/dev/null
	if [ -n "${RIG_KEEP-}" ]; then echo "kept: $WORK" >&2; else rm -rf "$WORK"; fi
	exit $status
}

# rig_spawn COMMAND...: starts it in the background as a process group of its own, whose id is $!.
rig_spawn() {
	setsid "$@" <&0 & # without the redirection, bash would give it /dev/null
	# The group is there as soon as setsid has run; before that it could not be ended.
	until kill -0 -- "-$!" 2>/dev/null || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
}

rig_daemon() {
	local name=$1; shift
	rig_spawn "$@" </dev/null >"$WORK/$name.log" 2>&1
	RIG_DAEMON[$name]=$!
}

# Kills it (SIGKILL), and waits until it is gone.
rig_kill_daemon() {
	kill -KILL -- "-${RIG_DAEMON[$1]}" 2>/dev/null || :
	{ wait "${RIG_DAEMON[$1]}" || :; } 2>/dev/null
	unset "RIG_DAEMON[$1]"
}

rig_await() {
	local end=$((SECONDS + ($1 > 300 ? $1 : 300))); shift
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { echo "failed: waited in vain for: $*" >&2; return 1; }
		sleep 0.05
	done
}

rig_path() { case $1 in /*) echo "$1" ;; *) echo "$WORK/$1" ;; esac; }
rig_console() { echo "$WORK/${1-$RIG_LAST}/console"; }
rig_results() { echo "$WORK/${1-$RIG_LAST}/result"; }
rig_result() { cat "$WORK/${2-$RIG_LAST}/result/$1"; }

# Reads the options of rig_start and rig_initrd into the caller's variables.
rig_options() {
	while [ $# -gt 0 ]; do
		[ $# -ge 2 ] || rig_fail "rig: $1 wants a value"
		case $1 in
		--name) name=$2 ;;
		--disk) disks+=("$2") ;;
		--nic) nics+=("$2") ;;
		--qmp) qmp=$2 ;;
		--with) with+=("$2") ;;
		--modules) modules+=("$2") ;;
		--file) files+=("$2") ;;
		--run) script=run; text=$2 ;;
		--script) script=$2 ;;
		--memory) memory=$2 ;;
		--cpus) cpus=$2 ;;
		--deadline) deadline=$2 ;;
		--append) append=$2 ;;
		--result-size) result_size=$2 ;;
		*) rig_fail "rig: there is no option $1" ;;
		esac
		shift 2
	done
	dir=$WORK/$name
	rm -rf "$dir"
	mkdir -p "$dir/result"
	case $script in
	"") rig_fail "rig: --script or --run is missing" ;;
	run) printf '#!/bin/sh\n%s\n' "$text" >"$dir/script" ;;
	-) cat >"$dir/script" ;;
	*) cp "$(rig_path "$script")" "$dir/script" ;;
	esac
	[ "$(head -c 2 "$dir/script")" = '#!' ] || sed -i '1i #!/bin/sh' "$dir/script"
}

# What the guest must know: the names that its disks will have.
rig_conf() {
	local rig=$1 count=$2 prefix=/dev/vd letters=abcdefghijklmnopqrstuvwxyz i list=
	[ "$rig" = uml ] && prefix=/dev/ubd
	for ((i = 0; i < count; i++)); do
		list+="$prefix${letters:i:1} "
		echo "export DISK$i=$prefix${letters:i:1}"
	done
	echo "export DISKS='${list% }'"
	echo "RESULT_DISK=$prefix${letters:count:1}"
}

rig_require() {
	case $1 in
	uml)
		command -v linux.uml >/dev/null || rig_skip "user-mode-linux is not installed"
		[ -e "$RIG_EVENTS" ] || rig_fail "rig: $RIG_EVENTS is not built: make"
		;;
	tcg | svm | kvm) command -v qemu-system-x86_64 >/dev/null || rig_skip "qemu-system-x86 is not installed" ;;
	*) rig_fail "rig: there is no rig $1" ;;
	esac
	rig_modules_dir "$1" >/dev/null && [ -e "$(rig_kernel "$1")" ] ||
		rig_skip "the kernel for rig $1 or its modules are not installed"
	[ -r "$(rig_kernel "$1")" ] || rig_skip "$(rig_kernel "$1") may not be read by this user"
}

rig_initrd() {
	local rig=$1 out=$2 name=initrd dir script= text= memory= cpus= deadline= append= result_size=
	local disks=() nics=() with=() modules=() files=()
	shift 2
	rig_require "$rig"
	rig_options "$@"
	rig_make_initrd "$rig" "$(rig_path "$out")" "$dir/script" "$(rig_conf "$rig" ${#disks[@]})"
}

# Sets command to how User Mode Linux is run.
rig_uml_command() {
	local disk i=0 mark file memory_folder megabytes
	megabytes=$(($(numfmt --from=iec "$memory") >> 20))
	memory_folder=$(place "$megabytes" exec) ||
		rig_skip "User Mode Linux has its memory in a file: no folder has $megabytes MiB and is not mounted noexec (TMPDIR)"
	# By itself it loses interrupts of devices that signal at once.
	command=(env "TMPDIR=$memory_folder" "LD_PRELOAD=$RIG_EVENTS" linux.uml "mem=$memory" "initrd=$dir/initrd" rdinit=/init root=/dev/ram0 quiet loglevel=4
		con0=null,fd:1 con=null ssl=null "uml_dir=$dir/" umid=uml panic=-1)
	for disk in ${disks[@]+"${disks[@]}"} "$dir/result.disk"; do
		mark=d
		case $disk in
		vhost-user:*) rig_fail "rig: uml has no vhost-user disks" ;;
		*:ro) disk=${disk%:ro} mark=rd ;;
		*:shared) disk=${disk%:shared} mark=cd ;;
		esac
		file=$(rig_path "$disk")
		[ -f "$file" ] || rig_fail "rig: there is no disk $file"
		command+=("ubd$i$mark=$file")
		i=$((i + 1))
	done
	[ $i -le 16 ] || rig_fail "rig: uml takes 15 disks"
	for disk in ${nics[@]+"${nics[@]}"}; do
		case $disk in *,server* | *,again* | *,queues=* | *+*) rig_fail "rig: uml has no such NICs" ;; esac
		disk=${disk#vhost-user:}
		command+=("virtio_uml.device=$(rig_path "${disk%%,*}"):1")
	done
	command+=($append)
}

# Sets command to how QEMU is run.
rig_qemu_command() {
	local rig=$1 item i=0 mac accel=tcg cpu=max readonly intx= extra server queues
	case $rig in
	# QEMU (target/i386/tcg, helper_vmrun and do_vmexit) changes a processor's pending interrupts without the lock under
	# which its timers raise them, and so may lose one; a one-shot timer, never served, is then never set again,
	# and that processor sleeps for good. A periodic one raises what is pending again, 4 ms later.
	svm) cpu=max,+svm append="nohz=off highres=off $append" ;;
	# With a thread for each, one processor may go on with QEMU's old translation of code that another changed
	# meanwhile: a kernel that patches a jump then runs into its own breakpoint for ever.
	# With one processor, or one thread for several, QEMU (7.2, CF_PARALLEL) leaves out the guest's memory barriers, as if nobody else had its memory:
	# of vhost-user, kicks and signals are lost now and then. Where a second processor may come it does not.
	tcg) if [ "$cpus" = 1 ]; then cpus=1,maxcpus=2; else accel=tcg,thread=single; fi ;;
	kvm) accel=kvm cpu=host ;;
	esac
	# Where the host is busy, Linux may see no interrupt of the timer in the time that its test of that has, and panic: no_timer_check.
	# Nor can it find out there how quick the TSC is. One guest's clock ran 22 times too fast there (not proved to be for that): processors were stuck for 48 s that
	# were two, and what waits 5 s for an answer waited for a fraction of one. The HPET says what it counts. (The host's clock, of rig kvm, is told.)
	[ $accel = kvm ] || append="tsc=unstable clocksource=hpet $append"
	command=(qemu-system-x86_64 -accel $accel -cpu $cpu -smp "$cpus" -m "$memory" -nodefaults -no-user-config
		-machine q35,memory-backend=ram -object "memory-backend-memfd,id=ram,size=$memory,share=on"
		-display none -no-reboot -chardev "file,id=console,path=$dir/console,append=on" -serial chardev:console
		-kernel "$(rig_kernel "$rig")" -initrd "$dir/initrd"
		-append "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init no_timer_check $append")
	[ -z "$qmp" ] || command+=(-qmp "unix:$(rig_path "$qmp"),server=on,wait=off")
	for item in ${disks[@]+"${disks[@]}"} "$dir/result.disk"; do
		readonly=off
		case $item in
		vhost-user:*)
			item=${item#vhost-user:} extra=
			[ "${item%%+*}" = "$item" ] || extra=,${item#*+}
			command+=(-chardev "socket,id=disk$i,path=$(rig_path "${item%%+*}")"
				-device "vhost-user-blk-pci,chardev=disk$i,num-queues=1$extra") ;;
		*)
			case $item in *:ro) item=${item%:ro} readonly=on ;; esac
			item=$(rig_path "$item")
			[ -e "$item" ] || rig_fail "rig: there is no disk $item"
			command+=(-drive "if=none,id=disk$i,format=raw,file=$item,read-only=$readonly"
				-device "virtio-blk-pci,drive=disk$i") ;;
		esac
		i=$((i + 1))
	done
	# QEMU 7.2 without KVM dies of a null pointer when a vhost-user NIC uses MSI-X (it looks for the
	# irqfd of the vector); with the pin interrupt all is well.
	[ $accel = kvm ] || intx=,vectors=0
	i=0
	for item in ${nics[@]+"${nics[@]}"}; do
		item=${item#vhost-user:} extra= server= queues=
		[ "${item%%+*}" = "$item" ] || extra=,${item#*+}
		item=${item%%+*}
		[ "${item%,queues=*}" = "$item" ] || { queues=,${item##*,} extra=$extra,mq=on; item=${item%,queues=*}; }
		[ "${item%,server}" = "$item" ] || { item=${item%,server} server=,server=on; }
		[ "${item%,again}" = "$item" ] || { item=${item%,again} server=,reconnect=1; }
		mac=$(printf '52:54:00:00:00:%02x' $((i + 1)))
		[ "${item#*,}" != "$item" ] && mac=${item#*,}
		command+=(-chardev "socket,id=nic$i,path=$(rig_path "${item%%,*}")$server"
			-netdev "vhost-user,id=net$i,chardev=nic$i$queues" -device "virtio-net-pci,netdev=net$i,mac=$mac$intx$extra")
		i=$((i + 1))
	done
}

rig_start() {
	local rig=$1 name=guest dir script= text= memory=256M cpus=1 deadline=1600 append= result_size=64M qmp=
	local disks=() nics=() with=() modules=() files=() command=()
	shift
	rig_require "$rig"
	[ "$rig" = svm ] && memory=1G
	rig_options "$@"
	case $rig in kvm | tcg) ;; *) [ "$cpus" = 1 ] || rig_fail "rig: $rig has one processor" ;; esac
	truncate -s "$result_size" "$dir/result.disk"
	rig_make_initrd "$rig" "$dir/initrd" "$dir/script" "$(rig_conf "$rig" ${#disks[@]})" ||
		rig_fail "rig: no image could be made"
	case $rig in
	uml) rig_uml_command ;;
	*) rig_qemu_command "$rig" ;;
	esac
	RIG_DEADLINE[$name]=$deadline
	RIG_LAST=$name
	rig_spawn timeout -k 2 "$deadline" "${command[@]}" </dev/null >>"$dir/console" 2>&1
	RIG_PID[$name]=$!
}

rig_start_shell() {
	local folder=$1
	shift
	[ -p "$folder/to" ] || mkfifo "$folder/to" "$folder/from"
	# Without a reader that stays, either side would wait for the other.
	exec 5<>"$folder/to" 6<>"$folder/from"
	rig_start uml "$@" --append 'ssl1=fd:5,fd:6' --script - <<'GUEST'
		exec </dev/ttyS1 >/dev/ttyS1
		stty raw -echo
		echo READY
		while IFS= read -r line && [ "$line" != QUIT ]; do
			eval "$line" 2>&1
			echo "== $?"
		done
GUEST
	exec 5>&- 6>&-
}

# Shows what a guest that failed said last.
rig_show_failure() {
	echo "guest $1: $2; the end of its console:" >&2
	tail -n 40 "$WORK/$1/console" | tr -d '\r' | sed 's/^/    | /' >&2
}

rig_wait() {
	local name=${1-$RIG_LAST} dir status=0
	dir=$WORK/$name
	RIG_LAST=$name
	wait "${RIG_PID[$name]}" || status=$?
	kill -KILL -- "-${RIG_PID[$name]}" 2>/dev/null || :
	unset "RIG_PID[$name]"
	if [ $status = 124 ] || [ $status = 137 ]; then
		rig_show_failure "$name" "not finished after ${RIG_DEADLINE[$name]} s"
		return 124
	fi
	tar -x -f "$dir/result.disk" -C "$dir" 2>/dev/null || :
	rm -f "$dir/result.disk" "$dir/initrd"
	if [ ! -s "$dir/status" ]; then
		rig_show_failure "$name" "it ended without results (exit status $status)"
		return 125
	fi
	status=$(cat "$dir/status")
	[ "$status" = 0 ] || rig_show_failure "$name" "its script ended with status $status"
	return "$status"
}

rig_boot() { rig_start "$@" && rig_wait; }

# Kills a guest. User Mode Linux is a process group of its own, and says which.
rig_kill() {
	local name=$1 pid
	kill -KILL -- "-${RIG_PID[$name]}" 2>/dev/null
	read -r pid 2>/dev/null <"$WORK/$name/uml/pid" || return 0
	kill -KILL -- "-$pid" 2>/dev/null
	while grep -q "^State:.[^Z]" "/proc/$pid/status" 2>/dev/null; do sleep 0.05; done
}

rig_stop() {
	local name=${1-$RIG_LAST}
	rig_kill "$name" || :
	wait "${RIG_PID[$name]}" 2>/dev/null || :
	unset "RIG_PID[$name]"
}

# Does the host's KVM run Linux, at a speed that is of use? Found out once for each boot of the host.
rig_kvm_usable() {
	local note answer
	[ -w /dev/kvm ] || return 1
	note=$RIG_CACHE/kvm-$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -s "$note" ]; then
		answer=no
		(rig_boot kvm --name kvm-probe --deadline 15 --run true) >/dev/null 2>&1 && answer=yes
		mkdir -p "$RIG_CACHE"
		echo $answer >"$note"
	fi
	[ "$(cat "$note")" = yes ]
}
