#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Damaged fields of superblocks, bitmaps and logs: what mdadm and md say of the images that tenon was asked about (docs/raid-damage.md).
# Only with TORTURE=1: it takes ten minutes or more. ROWS=REGEX: those rows of raid_damage.py patches. The words are those of Debian 12's.
# timeout: 3600
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
DAMAGE=$TOP/tests/interop/raid_damage.py
[ -n "${TORTURE:-}" ] || rig_skip "only with TORTURE=1"
[ -x "$TOP/build/tests/helpers/raid_tool" ] || rig_skip "raid_tool is not built"
cd "$WORK"
mkdir base
python3 "$DAMAGE" make "$TENON" "$TOP/build/tests/helpers/raid_tool" "$WORK/base"
python3 "$DAMAGE" patches "$WORK/base" 1 | grep -E "${ROWS:-.}" >rows
rm base/data
for i in 0 1 2 3; do truncate -s 3M d$i; done
for i in 4 5 6 7; do truncate -s 5M d$i; done
for i in 8 9 10; do truncate -s 4M d$i; done
mkfifo in out
exec 5<>in 6<>out

# What the guest says of rows, line by line, is in `judged`. Where it panics, or says nothing for a minute, that is what the row gets that it
# was at, and another guest goes on with the next.
judge_rest() {
	local status=0 reader since lines stands= row
	lines=$(wc -l <judged)
	tail -n +$((lines + 1)) rows >rest
	sed -u '/^END$/Q' <out >>judged &
	reader=$!
	rig_start uml --name judge --memory 400M --deadline 3400 $(printf -- '--disk d%s ' 0 1 2 3 4 5 6 7 8 9 10) --file "$WORK/base:/base" --file "$WORK/rest:/rows" \
		--with mdadm --with lvm2 --with dmsetup --modules "raid456 dm-raid" --append 'ssl1=fd:5,fd:6' --script "$WORK/guest"
	since=$SECONDS
	while kill -0 "${RIG_PID[judge]}" 2>/dev/null; do
		sleep 0.5
		[ "$(wc -l <judged)" = $lines ] || { lines=$(wc -l <judged) since=$SECONDS; }
		[ $((SECONDS - since)) -lt 60 ] || { rig_stop judge; stands='does not end within a minute'; break; }
	done
	[ -n "$stands" ] || rig_wait judge 2>said || status=$?
	echo END >&6
	wait $reader
	[ "$status$stands" != 0 ] || return 0
	row=$(($(wc -l <judged) + 1))
	if [ -z "$stands" ]; then
		grep -q 'Kernel panic' "$(rig_console judge)" || { cat said >&2; rig_fail "the guest ended with $status at row $row"; }
		stands='the kernel panics'
	fi
	printf '%s\treads it\t%s\n' "$(sed -n ${row}p rows | cut -f 1-3)" "$stands" >>judged
}

cat >guest <<'GUEST'
	exec >/dev/ttyS1
	stty raw -echo </dev/ttyS1
	# Devices are as long as the images: superblocks may be at their ends.
	disk() {
		case $kind:$1 in
		reshape:a | 0.91:a) name=$DISK4 ;; reshape:b | 0.91:b) name=$DISK5 ;; reshape:c | 0.91:c) name=$DISK6 ;; reshape:d | 0.91:d) name=$DISK7 ;;
		*:a) name=$DISK0 ;; *:b) name=$DISK1 ;; *:c) name=$DISK2 ;; *:j) name=$DISK3 ;;
		*:p) name=$DISK8 ;; *:q) name=$DISK9 ;; *:r) name=${DISK10} ;;
		esac
	}
	# What follows a line of mdadm's is advice. Without a word it ends by a signal.
	last() {
		line=$(echo "$1" | grep '^mdadm:' | tail -n 1)
		[ -n "$line" ] || line=$(echo "$1" | grep . | tail -n 1)
		[ -n "$line" ] || line="mdadm ends with status $2"
	}
	# How md0 stands in /proc/mdstat; false: it does not run.
	look() {
		local line on=
		md=
		while read -r line; do
			case $line in "md0 : active"*) on=1; case $line in *"(read-only)"*) md=', read-only' ;; esac ;; *]) [ -z "$on" ] || { md="[${line##*[}$md"; break; } ;; esac
		done </proc/mdstat
		[ -n "$md" ]
	}
	# Whether it reads as before, where that is known.
	same() { [ ! -e /base/sum-$kind ] || [ "$(head -c 8388608 $1 | md5sum | cut -d ' ' -f 1)" = "$(cat /base/sum-$kind)" ] || md="$md, other data"; }
	# What lvm2 and dm-raid say of the volume. The kernel says why it refuses; a resync that is under way stands.
	judge_dm() {
		dmesg -c >/dev/null
		said=$(vgchange -ay vg 2>&1)
		ended=$?
		examined=$(echo "$said" | sed 's/^ *//; s/ on  ([0-9:]*)//' | grep -v -e 'now active' -e '^$' | head -n 1)
		if [ $ended = 0 ] && status=$(dmsetup status vg-x 2>/dev/null) && [ -n "$status" ]; then
			[ -n "$examined" ] || examined='starts it'
			set -- $status
			md="$6"
			same /dev/vg/x
		else
			md="no: $(dmesg | sed -n 's/.*device-mapper: table: \([0-9:]*: \)*raid: //p' | tail -n 1)"
		fi
		vgchange -an vg >/dev/null 2>&1
	}
	judge_md() {
		if said=$(mdadm --examine $first 2>&1); then
			examined='reads it'
			case $said in *' - expected '*) examined='reads it, and says that another checksum is expected' ;; esac
		else
			last "$said" $?
			examined=$line
		fi
		said=$(mdadm --assemble --run /dev/md0 $devices 2>&1)
		ended=$?
		case $kind in reshape | 0.91) settle ;; esac
		if look; then
			read -r resync </sys/block/md0/md/resync_start
			case $resync in none) md="$md, in sync" ;; *) md="$md, not in sync" ;; esac
			same /dev/md0
		else
			last "$said" $ended
			md="no: $line"
		fi
		[ ! -e /sys/block/md0/md ] || mdadm --stop /dev/md0 >/dev/null 2>&1
	}
	tab=$(printf '\t')
	# Nothing is resynced or rebuilt, so that what is seen is what it was started as. A reshape goes on: what md stopped in the middle of one
	# it does not read (6.1: requests wait until the next part has been moved).
	hold() {
		echo $1 >/sys/module/md_mod/parameters/start_ro
		echo $2 >/proc/sys/dev/raid/speed_limit_min
		echo $2 >/proc/sys/dev/raid/speed_limit_max
	}
	settle() {
		local n=0 action=
		while [ $n -lt 200 ] && read -r action </sys/block/md0/md/sync_action && [ "$action" != idle ]; do
			sleep 0.05
			n=$((n + 1))
		done
	} 2>/dev/null
	while IFS=$tab read -r structure field where kind patches; do
		devices=
		for image in /base/$kind/*; do
			disk ${image##*/}
			cat $image >$name
			devices="$devices $name"
		done
		set -- $patches
		disk $1
		first=$name
		while [ $# -gt 0 ]; do
			disk $1
			printf "$3" | dd of=$name bs=64K oflag=seek_bytes seek=$2 conv=notrunc 2>/dev/null
			shift 3
		done
		case $kind in reshape | 0.91) hold 0 1000000 ;; *) hold 1 1 ;; esac
		case $kind in dm) judge_dm ;; *) judge_md ;; esac
		printf '%s\t%s\t%s\t%s\t%s\n' "$structure" "$field" "$where" "$examined" "$md"
	done </rows
GUEST
touch judged
until [ "$(wc -l <judged)" = "$(wc -l <rows)" ]; do judge_rest; done
sed -i -E '/^(1.2, reshape|0.91)\t/{ s|/dev/ubde|a|g; s|/dev/ubdf|b|g; s|/dev/ubdg|c|g; s|/dev/ubdh|d|g }; s|/dev/ubd([a-z])|\1|g; s/[|]/\//g' judged
[ -z "${RAID_DAMAGE_SAVE:-}" ] || cp judged "$RAID_DAMAGE_SAVE"
mdadm --version 2>&1 | grep -q 'v4\.2' || { echo "the words are those of mdadm 4.2: not compared"; exit 0; }
python3 "$DAMAGE" compare "$TOP/docs/raid-damage.md" - judged || rig_fail "the table says otherwise"
