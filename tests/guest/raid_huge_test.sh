#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Members of 5 and 15 TiB, in sparse files: sectors beyond 2^32 of a member and of an array, superblocks at the end, bitmaps of huge arrays. What tenon
# writes around each border is there for md, and the other way round, also without a member; a member that was away is filled by its bitmap.
# Levels 5 and 10; TORTURE=1: also 6, 0 and linear.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
IO=$TOP/build/tests/helpers/block_io
[ -x "$IO" ] || rig_skip "block_io is not built"
cd "$WORK"
truncate -s 15T probe 2>/dev/null || rig_skip "no file of 15 TiB can be made here"
rm probe
server=
trap 'status=$?; set +e; kill -9 $server 2>/dev/null; (exit $status); rig_end' EXIT

# name, members, their size, what is created
names=(five far)
[ -z "${TORTURE:-}" ] || names=(five six far flat line)
declare -A members=([five]='a b c' [six]='d e f g' [far]='h i j' [flat]='k l' [line]='m n')
declare -A sizes=([five]=15T [six]=5T [far]=5T [flat]=9T [line]=15T)
declare -A options=([five]='--level 5 --assume-clean --consistency bitmap' [six]='--level 6 --metadata 1.0 --assume-clean --consistency resync'
	[far]='--level 10 --layout f2 --assume-clean --consistency bitmap' [flat]='--level 0' [line]='--level linear')
# As md has it: data disks times what each has of the member, in TiB, less what superblocks and bitmaps take.
declare -A whole=([five]=30 [six]=10 [far]=7 [flat]=18 [line]=30)

devices() { local i; for i in $1; do echo "--device $i"; done; }
serve() { # NAME [MEMBERS]
	rm -f out
	"$TENON" serve md/$1 --socket-dir s --degraded $(devices "${2:-${members[$1]}}") >out 2>err &
	server=$!
	rig_await 120 eval "grep -qs ^ready out || ! kill -0 $server" && grep -qs ^ready out || { cat err; rig_fail "$1: the server does not start"; }
}
end() { kill $server; wait $server || rig_fail "the server ended with $?"; server=; }
io() { local name=$1; shift; "$IO" vhost-user:s/md-$name.sock "$@" 2>said || { cat said; rig_fail "$name: $*"; }; }

# Bytes of the array, in MiB: at its begin, on either side of 2^32 sectors, of 2^32 sectors of each member, in the middle, and at the end.
places() { # BYTES
	local mib=$(($1 >> 20)) at
	for at in 0 2097151 2097152 4194303 8388607 $((mib / 2)) $((mib - 2)); do [ $at -ge $((mib - 1)) ] || echo $at; done | sort -nu
}

for name in "${names[@]}"; do
	truncate -s ${sizes[$name]} ${members[$name]}
	"$TENON" raid create $name ${options[$name]} ${members[$name]} >/dev/null 2>err || { cat err; rig_fail "$name: creating"; }
	bytes=$("$TENON" raid show $name --json $(devices "${members[$name]}") | sed -n 's/.*"size_bytes": *\([0-9]*\).*/\1/p' | head -n 1)
	[ $((bytes >> 40)) = ${whole[$name]} ] || [ $((bytes >> 40)) = $((whole[$name] - 1)) ] || rig_fail "$name: it has $bytes bytes"
	first=${members[$name]%% *}
	theirs=$(mdadm --examine $first | sed -n 's/ *Array Size : \([0-9]*\) KiB.*/\1/p')
	case $name in flat | line) ;; *) [ $((theirs * 1024)) = "$bytes" ] || rig_fail "$name: mdadm says $theirs KiB, we $bytes bytes" ;; esac
	serve $name
	for at in $(places $bytes); do io $name fill ${at}M 1M $((at % 200 + 1)); done
	io $name flush
	for at in $(places $bytes); do io $name expect ${at}M 1M $((at % 200 + 1)); done
	case $name in five | far)
		# A member fails, misses a write at each border, and comes back: only that is copied.
		"$TENON" raid fail $name $first && "$TENON" raid remove $name $first || rig_fail "$name: failing"
		for at in $(places $bytes); do io $name fill $((at * 1024 + 512))K 4K 250; done
		"$TENON" raid re-add $name $first >/dev/null 2>err || { cat err; rig_fail "$name: re-adding"; }
		"$TENON" raid rebuild $name >/dev/null 2>err || { cat err; rig_fail "$name: filling"; }
		;;
	six) for at in $(places $bytes); do io $name fill $((at * 1024 + 512))K 4K 250; done ;;
	esac
	end
	echo "$name $bytes"
done | tee made
[ "$(wc -l <made)" = ${#names[@]} ] || exit 1

# md: its sizes, what it reads at each place, and parity around 2^32 sectors of the members; then it writes there.
disks=() count=0
while read -r name bytes; do
	line="$name $bytes $(places $bytes | tr '\n' ',')"
	for disk in ${members[$name]}; do
		line+=" \$DISK$count"
		disks+=(--disk $disk)
		count=$((count + 1))
	done
	echo "$line"
done <made >sets
rig_boot uml --name judge "${disks[@]}" --file "$WORK/sets:/sets" --memory 512M --with mdadm --with blockdev \
	--modules 'raid456 raid10 raid0 linear?' --script - <<'GUEST'
	set -e
	md=/sys/block/md0/md
	others() { dd if=/dev/md0 bs=1M skip=$1 count=1 iflag=direct 2>/dev/null | tr -d "\\$(printf %o $2)" | wc -c; }
	while read -r name bytes places devices; do
		[ $name != line ] || [ -e /sys/module/linear ] || { echo "line none" >>/result/judged; continue; }
		eval "mdadm --assemble --run /dev/md0 $devices" 2>&1
		[ "$(blockdev --getsize64 /dev/md0)" = $bytes ] || { echo "$name has $(blockdev --getsize64 /dev/md0) bytes, expected $bytes"; exit 1; }
		found=
		for at in $(echo $places | tr , ' '); do found="$found $(others $at $((at % 200 + 1)))"; done
		mismatches=-
		if [ -e $md/sync_action ]; then
			echo 4294965248 >$md/sync_min
			echo 4294969344 >$md/sync_max
			echo check >$md/sync_action
			# There it waits, for more to be allowed.
			until [ "$(cut -d ' ' -f 1 $md/sync_completed)" = 4294969344 ]; do sleep 0.05; done
			echo idle >$md/sync_action
			mismatches=$(cat $md/mismatch_cnt)
		fi
		for at in $(echo $places | tr , ' '); do
			head -c 4096 /dev/zero | tr '\0' M | dd of=/dev/md0 bs=4k seek=$((at * 256 + 64)) conv=notrunc,fsync 2>/dev/null
		done
		mdadm --stop /dev/md0
		echo "$name $mismatches$found" >>/result/judged
	done </sets
GUEST
cat "$(rig_results judge)/judged"
# The 4 KiB that were written over in the middle of each are others.
while read -r name mismatches found; do
	expected=0
	case $name in five | six | far) expected=4096 ;; esac
	[ "$mismatches" != none ] || continue
	for other in $found; do [ $other = $expected ] || rig_fail "$name: of a MiB md reads $other other bytes, expected $expected"; done
	[ "$mismatches" = 0 ] || [ "$mismatches" = - ] || rig_fail "$name: md finds $mismatches sectors that differ"
done < <(cat "$(rig_results judge)/judged")

while read -r name bytes; do
	! grep -q "^$name none" "$(rig_results judge)/judged" || continue
	for some in "${members[$name]}" "${members[$name]#* }"; do
		case $name in flat | line) [ "$some" = "${members[$name]}" ] || continue ;; esac
		serve $name "$some"
		for at in $(places $bytes); do io $name expect $((at * 1024 + 256))K 4K 77 expect ${at}M 256K $((at % 200 + 1)); done
		end
	done
done <made
