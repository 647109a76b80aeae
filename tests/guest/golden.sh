# SPDX-License-Identifier: BSD-2-Clause
# Images made and judged by the real mdadm, lvm2 and kernel, in rig uml. Sourced by rig.sh.
#
# rig_make_md DIR "SIZE..." COMMANDS    makes disks WORK/DIR/d0.img, d1.img ... of these sizes (32M),
#     runs the commands (mdadm --create ... $DISKS) and fills every array with known data. What must be
#     read back is in WORK/DIR/LOGICAL, a line each: NAME BYTES MD5.
# rig_make_lvm DIR "SIZE..." COMMANDS   the same with lvm2 (pvcreate $DISKS ...): every active volume is
#     filled; the name is VG/LV. Commands after a line `# filled` run when the data is in place.
#     Either may be stacked on the other: both make arrays and groups alike.
# rig_judge NAME DISK...                the real kernel assembles and activates what is on the disks
#     (files), which must be sound: `check` of each array, vgck of each group. Writes the LOGICAL file of
#     arrays and volumes, as WORK/NAME/LOGICAL, and WORK/NAME/mismatch_cnt (the sum). An array is
#     started even if members are missing. EXTRA (variable) is run in the end, with all active.
#
#     rig_make_md r1 "32M 32M" 'mdadm --create /dev/md0 --run --level=1 --name=r1 --raid-devices=2 $DISKS'
#     rm "$WORK/r1/d1.img"; tenon copy ...
#     rig_judge back r1/d0.img r1/d1.img && diff "$WORK/r1/LOGICAL" "$WORK/back/LOGICAL"
#
# The known data is sectors n = 0, 1, ...: the sha256 of "peers-src-v1" and n (8 bytes, little-endian),
# 16 times. Arrays and volumes are filled one behind the other, in the order of LOGICAL.

# rig_known_data FILE MIB: writes so much of the known data; cached.
rig_known_data() {
	local cached=$RIG_CACHE/known-$2
	if [ ! -f "$cached" ]; then
		python3 - "$2" >"$cached.$$" <<-'PYTHON' || return 1
			import hashlib, struct, sys
			for n in range(int(sys.argv[1]) * 2048):
			    sys.stdout.buffer.write(hashlib.sha256(b"peers-src-v1" + struct.pack("<Q", n)).digest() * 16)
		PYTHON
		mv "$cached.$$" "$cached"
	fi
	ln -s "$cached" "$1"
}

# Functions for the scripts in the guest.
RIG_GOLDEN_LIB='
set -e
echo 4000000 >/proc/sys/dev/raid/speed_limit_max
# Arrays and volumes that are active and hold data themselves: NAME DEVICE, in /run/logical.
logical() {
	for sys in /sys/block/md*/md; do
		[ -e "$sys" ] || continue
		device=${sys%/md}; device=/dev/${device##*/}
		read -r state <"$sys/array_state"
		[ "$state" != inactive ] && [ -z "$(ls "${sys%/md}/holders")" ] || continue
		! head -c 2048 "$device" | grep -q LABELONE || continue
		name=$(mdadm --detail --export "$device" | sed -n "s/^MD_NAME=//p")
		echo "md/${name#*:} $device"
	done >/run/logical
	set -- /sys/block/dm-*
	[ -e "$1" ] || return 0
	lvs --noheadings --separator " " -O vg_name,lv_name -o vg_name,lv_name,lv_path \
		-S "lv_active=active && lv_role=public && layout!=pool" |
		while read -r vg lv path; do echo "$vg/$lv $path"; done >>/run/logical
}
digest() {
	while read -r name device; do
		echo "$name $(blockdev --getsize64 "$device") $(md5sum <"$device" | cut -d " " -f 1)"
	done </run/logical
}
settle() {
	for sys in /sys/block/md*/md; do
		[ -e "$sys/sync_action" ] || continue
		until read -r action <"$sys/sync_action" && [ "$action" = idle ]; do sleep 0.1; done
	done
}
finish() {
	set -- /sys/block/dm-*
	[ ! -e "$1" ] || vgchange -an
	for sys in /sys/block/md*/md; do
		[ -e "$sys" ] || continue
		device=${sys%/md}
		mdadm --wait-clean "/dev/${device##*/}" || :
		mdadm --stop "/dev/${device##*/}"
	done
}
'

rig_make() {
	local dir=$1 sizes=$2 commands=$3 size i=0 disks=() before after=
	mkdir -p "$WORK/$dir"
	for size in $sizes; do
		truncate -s "$size" "$WORK/$dir/d$i.img" || return 1
		disks+=(--disk "$dir/d$i.img")
		i=$((i + 1))
	done
	[ -e "$WORK/known" ] || rig_known_data "$WORK/known" 128 || return 1
	before=${commands%%# filled*}
	[ "$before" = "$commands" ] || after=${commands#*# filled}
	rig_boot uml --name "$dir.maker" "${disks[@]}" --disk known:ro --with mdadm --with lvm2 --with blockdev \
		--modules "raid0 raid1 raid10 raid456" --script - <<-GUEST || return 1
		$RIG_GOLDEN_LIB
		known=\$DISK$i
		DISKS=\${DISKS% *}
		$before
		settle
		logical
		at=0
		while read -r name device; do
			size=\$(blockdev --getsize64 "\$device")
			dd if=\$known of="\$device" bs=1M iflag=skip_bytes,count_bytes skip=\$at count=\$size conv=fsync
			at=\$((at + size))
		done </run/logical
		settle
		echo 3 >/proc/sys/vm/drop_caches
		digest >/result/LOGICAL
		[ -s /result/LOGICAL ] || { echo "nothing was made"; exit 1; }
		$after
		finish
	GUEST
	cp "$(rig_results)/LOGICAL" "$WORK/$dir/LOGICAL"
}
rig_make_md() { rig_make "$@"; }
rig_make_lvm() { rig_make "$@"; }

rig_judge() {
	local name=$1 disks=() disk
	shift
	for disk in "$@"; do disks+=(--disk "$disk"); done
	rig_boot uml --name "$name.judge" "${disks[@]}" --with mdadm --with lvm2 --with blockdev \
		--modules "raid0 raid1 raid10 raid456" --script - <<-GUEST || return 1
		$RIG_GOLDEN_LIB
		for disk in \$DISKS; do mdadm --examine "\$disk" 2>/dev/null || :; done >/result/examine
		mdadm --assemble --scan --run || :
		settle
		sum=0
		for sys in /sys/block/md*/md; do
			[ -e "\$sys/sync_action" ] || continue
			[ "\$(cat "\$sys/degraded")" = 0 ] || continue
			echo check >"\$sys/sync_action"
			settle
			sum=\$((sum + \$(cat "\$sys/mismatch_cnt")))
		done
		echo \$sum >/result/mismatch_cnt
		cat /proc/mdstat | tee /result/mdstat
		vgs=\$(vgs --noheadings -o vg_name)
		for vg in \$vgs; do vgck "\$vg"; done
		[ -z "\$vgs" ] || vgchange -ay
		logical
		digest >/result/LOGICAL
		[ -s /result/LOGICAL ] || { echo "no array and no volume was found"; exit 1; }
		${EXTRA-}
		finish
	GUEST
	mkdir -p "$WORK/$name"
	cp "$(rig_results)"/* "$WORK/$name/"
}
