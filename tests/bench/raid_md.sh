#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Levels 5, 6 and 10 beside the real md, in User Mode Linux, on the same files: processor seconds of whole processes (user and
# system, of the host) to write all of an array in order, to fill a member, and to check. What booting costs is taken off.
#	raid_md.sh [MIB [ROUNDS]]
. "$(dirname "$0")/../guest/rig.sh"
set -eu
mib=${1:-192} rounds=${2:-3}
rig_begin
BENCH=$TOP/build/tests/bench/raid_array_bench
cd "$WORK"

# Processor seconds of all children that have ended, of this very shell.
spent() {
	times >spent
	seconds=$(tail -n 1 spent | sed 's/[ms]/ /g' | awk '{ print $1 * 60 + $2 + $3 * 60 + $4 }')
}
md() { # WHAT LEVEL
	local before seconds
	spent
	before=$seconds
	rig_boot uml --name md $(for i in 0 1 2 3 4; do echo "--disk $i.img"; done) --with mdadm --modules "raid456 raid10" --append "what=$1" \
		--deadline 300 --script - >/dev/null <<'GUEST'
	set -e
	what=$(sed 's/.*what=\([a-z]*\).*/\1/' /proc/cmdline)
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	mdadm --assemble /dev/md0 $DISK0 $DISK1 $DISK2 $DISK3
	# Not by looking again and again: a process costs tens of milliseconds there.
	idle() { mdadm --wait /dev/md0 || :; }
	case $what in
	write) dd if=/dev/zero of=/dev/md0 bs=1M oflag=direct 2>/dev/null || : ;;
	fill) mdadm /dev/md0 --fail $DISK0 --remove $DISK0 --add $DISK4; idle ;;
	check) echo check >/sys/block/md0/md/sync_action; idle ;;
	esac
	mdadm --stop /dev/md0
GUEST
	spent
	awk "BEGIN { print $seconds - $before }"
}
fresh() { # LEVEL
	local i
	for i in 0 1 2 3 4; do rm -f $i.img; truncate -s ${mib}M $i.img; done
	"$TENON" raid create bench --level $1 --chunk 64K --assume-clean --bitmap none 0.img 1.img 2.img 3.img 2>/dev/null
	"$BENCH" files $1 "$WORK" write >/dev/null # no file has holes
	dd if=/dev/urandom of=4.img bs=1M count=$mib conv=notrunc status=none
}
printf '%-8s %-6s %28s %28s %8s\n' level what 'tenon MB for a CPU-second' 'md MB for a CPU-second' ratio
for level in 5 6 10; do
	for what in write check fill; do
		for ((round = 0; round < rounds; round++)); do
			fresh $level
			boot=$(md none $level)
			theirs=$(md $what $level)
			fresh $level
			ours=$("$BENCH" files $level "$WORK" $what | awk '{ print $2 }')
			awk -v o="$ours" -v t="$theirs" -v b="$boot" -v m="$mib" 'BEGIN { t = t - b; if (t < 0.01) t = 0.01; print m * 4 * 1.048576 / o, m * 4 * 1.048576 / t, t / o }'
		done | sort -n -k 3 | awk -v l="$level" -v w="$what" '{ line[NR] = $0 } END { split(line[int((NR + 1) / 2)], f, " "); printf "%-8s %-6s %28.0f %28.0f %8.2f\n", l, w, f[1], f[2], f[3] }'
	done
done
