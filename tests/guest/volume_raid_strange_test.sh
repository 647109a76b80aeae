#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# RAID volumes of lvm2 that few have: odd stripes, regions and layouts, in pieces, made of other types, with write-mostly images, one that is split off,
# images that were moved, with snapshots, caches, thin pools and integrity on them; and conversions, repairs and reshapes that were half done when the
# power went. tenon reads them whole and without each PV, and writes nothing; two PVs are lost, it makes all of it anew, and lvm2 and dm-raid accept that.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
modules="raid456 raid1 raid10 raid0 dm-raid dm-thin-pool dm-snapshot dm-integrity dm-cache dm-cache-smq"
try() { "$TENON" "$@" >log 2>&1 || { cat log; rig_fail "'$*'"; }; }
disks=()
for disk in s0 s1 s2 s3 s4 s5 s6 s7 h0 h1 h2 h3 h4 h5; do
	truncate -s 96M $disk
	disks+=(--disk $disk)
done
cat >names <<'LIST'
zwide --type raid0 -i 7 -I 4k -L 7M
four --type raid4 -i 4 -I 16k -R 8k -L 4M --addtag blue
fwide --type raid5 -i 7 -I 16k -L 7M
fsame --type raid5 -i 2 -I 4k --nosync -L 2M
none --type raid1 -m 1 -L 2M
nfive --type raid5 -i 2 -L 2M
zmeta --type raid0_meta -i 3 -I 8k -L 3M
mostly --type raid1 -m 2 -R 4k -L 2M
track --type raid1 -m 2 -R 32k -L 2M
split --type raid1 -m 2 -L 2M
fla --type raid5_la -i 3 -I 4k -R 4k -L 3M
frs --type raid5_rs -i 2 -I 128k -R 1M -L 4M
sixnr --type raid6_nr -i 3 -I 16k -L 3M
sixra --type raid6_ra_6 -i 4 -I 4k -L 4M
sixn --type raid6_n_6 -i 3 -I 256k -R 1M -L 3M
tenodd --type raid10 -i 3 -m 1 -I 8k -R 64k -L 3M
five --type raid5 -i 2 -I 16k -L 4M
lone -L 2M
origin --type raid1 -m 1 -L 2M
fast --type raid1 -m 1 -L 2M
pool --type raid1 -m 1 -L 4M
meta --type raid1 -m 1 -L 2M
slow -L 2M
checked --type raid1 -m 1 --raidintegrity y -L 2M
LIST
cat >make.sh <<'GUEST'
	set -e
	echo 4000000 >/proc/sys/dev/raid/speed_limit_max
	set -- $DISKS
	settle() { until ! lvs --noheadings -o sync_percent $1 | grep -qv '100.00\|^ *$'; do sleep 0.1; done; }
	fill() { for name; do dd if=/dev/urandom of=/dev/$name bs=64K conv=fsync 2>/dev/null || :; done; }
	quiet() { "$@" >/run/said 2>&1 || { echo "failed: $*"; cat /run/said; exit 1; }; }
	# Of what it has now: it may be larger in the end.
	digests() { for name; do echo "$name $(blockdev --getsize64 /dev/$name) $(md5sum </dev/$name | cut -d ' ' -f 1)" >>/result/digests; done; }
	quiet vgcreate -s 512k vg $1 $2 $3 $4 $5 $6 $7 $8
	shift 8
	quiet vgcreate -s 1M half $*
	while read -r name options; do quiet lvcreate -y $options -n $name vg; done </root/names
	settle vg
	fill $(lvs --noheadings -o vg_name,lv_name --separator / vg)
	settle vg
	quiet lvextend -L +1M vg/frs
	quiet lvextend -L +3M vg/sixnr
	quiet lvextend -L +3M vg/tenodd
	# Where there is no file system, lvm2 since 2.03.17 wants to be told not to look for one.
	quiet lvreduce $(! lvreduce --help 2>&1 | grep -q -e --fs || echo --fs ignore) -y -L 2M vg/fla
	quiet lvextend --nosync -L +2M vg/none
	quiet lvextend --nosync -L +2M vg/nfive
	lvs --noheadings -o lv_name,attr,sync_percent vg/none vg/nfive
	pv=$(lvs -a --noheadings -o devices vg/mostly_rimage_1 | tr -d ' ')
	quiet lvchange --writemostly ${pv%(*}:y --writebehind 64 vg/mostly
	quiet lvconvert -y --splitmirrors 1 --trackchanges vg/track
	quiet lvconvert -y --splitmirrors 1 --name other vg/split
	settle vg
	quiet lvconvert -y --type raid1 -m 2 -R 8k vg/lone
	# No digest of what a reshape adds: the guest has it in its cache from before.
	digests vg/five
	quiet lvconvert -y --stripes 4 vg/five
	settle vg
	fill vg/frs vg/sixnr vg/tenodd vg/track vg/split vg/none vg/nfive
	quiet lvcreate -y -s -L 2M -n before vg/origin
	quiet lvconvert -y --thinpool vg/pool --poolmetadata vg/meta --config 'global { thin_check_executable = "" }'
	quiet lvcreate -y -V 4M -T vg/pool -n thin --config 'global { thin_check_executable = "" }'
	quiet lvconvert -y --type cache --cachevol fast vg/slow --config 'global { cache_check_executable = "" }'
	digests $(lvs --noheadings -o vg_name,lv_name --separator / -S 'lv_name!=five&&lv_name!=pool&&lv_name!=track_rimage_2&&lv_name!=fast' vg)

	quiet lvcreate -y --type raid1 -m 1 -L 4M -n up half $1 $2
	quiet lvcreate -y --type raid5 -i 3 -L 12M -n mend5 half $1 $2 $3 $4
	quiet lvcreate -y --type raid6 -i 3 -L 12M -n mend6 half $1 $2 $3 $4 $5
	quiet lvcreate -y --type raid10 -i 2 -m 1 -L 8M -n mend10 half $1 $2 $3 $4
	quiet lvcreate -y --type raid5 -i 2 -L 8M -n six half $1 $2 $3
	quiet lvcreate -y -L 4M -n one half $3
	quiet lvcreate -y --type raid5 -i 2 -I 64k -L 8M -n wider half $1 $2 $3
	quiet lvcreate -y --type raid10 -i 2 -m 1 -L 8M -n wider10 half $1 $2 $3 $4
	quiet lvcreate -y --type raid5 -i 2 -L 4M -n moved half $1 $2 $3
	settle half
	names=$(lvs --noheadings -o vg_name,lv_name --separator / half)
	fill $names
	digests $names
	quiet pvmove -n moved $2 $5
	for name in up mend5 mend6 mend10 six wider wider10; do quiet lvchange --minrecoveryrate 1k --maxrecoveryrate 1k half/$name; done
	quiet lvconvert -y -m +1 half/up $3
	quiet lvconvert -y --replace $2 half/mend5 $5
	quiet lvconvert -y --replace $3 half/mend6 $6
	quiet lvconvert -y --replace $1 half/mend10 $5
	quiet lvconvert -y --type raid6 half/six
	quiet lvconvert -y --type raid1 -m 1 half/one
	quiet lvconvert -y --stripes 4 half/wider
	quiet lvconvert -y --stripes 3 half/wider10
	# In the metadata only, not in dm: tenon keeps to these rates, too.
	for name in up mend5 mend6 mend10 six wider wider10; do quiet lvchange --driverloaded n --minrecoveryrate 0 --maxrecoveryrate 0 half/$name; done
	sync
GUEST
rig_boot uml --memory 320M --name made "${disks[@]}" --with lvm2 --modules "$modules" --file names --script make.sh
cp "$(rig_results made)/digests" made.txt
export TENON_DEVICES=$WORK/s?:$WORK/h?

# What is not operated here says so; all else is read.
for name in slow thin checked before; do
	! "$TENON" copy vg/$name - >out 2>log || rig_fail "vg/$name is read"
	grep -Eq "vg/$name: (its type is|lies on another volume, )" log || { cat log; rig_fail "vg/$name: why it is not read"; }
done
sed -i '/^vg\/\(slow\|thin\|checked\|before\) /d' made.txt
# is_same NAME: reads as it did, by as much as it had then. 1: it is refused.
is_same() {
	local bytes sum
	read -r bytes sum <<<"$(sed -n "s,^$1 ,,p" made.txt)"
	"$TENON" copy $1 out --force >log 2>&1 || return 1
	[ "$(head -c "$bytes" out | md5sum | cut -d ' ' -f 1)" = "$sum" ] || { cat log; rig_fail "$1 reads otherwise $2"; }
}
same() { is_same "$@" || { cat log; rig_fail "$1 is refused $2"; }; }
names=$(cut -d ' ' -f 1 made.txt)
before=$(cat s? h? | md5sum)
for name in $names; do same $name whole; done
mkdir away
for disk in s? h?; do
	mv $disk away
	for name in $names; do
		case $disk$name in s?half* | h?vg*) continue ;; esac
		is_same $name "without $disk" && continue
		# Data that are there once, or not yet made anew.
		case $name in */z* | vg/other | half/mend5 | half/mend10 | half/wider10 | half/one) ;; *) cat log; rig_fail "$name is refused without $disk" ;; esac
		grep -Eq 'do not have all data|is missing' log || { cat log; rig_fail "why $name is refused without $disk"; }
	done
	mv away/$disk .
done
[ "$(cat s? h? | md5sum)" = "$before" ] || rig_fail "who only reads has written"

# Two are lost for good; what was there once is gone with them.
rm s2 h5
truncate -s 96M s8 h6
try vg extend vg s8
try vg extend half h6
names=$(grep -v '^vg/\(z\|other\)' made.txt | cut -d ' ' -f 1)
for name in $names; do
	try lv repair $name
	same $name repaired
	try lv scrub $name
	grep -q ' 0 bytes differ' log || { cat log; rig_fail "$name: its images differ"; }
done
try vg reduce vg --remove-missing --force
try vg reduce half --remove-missing --force
# What of a volume nobody has synchronized is written by us, and dm-raid sees no need to.
for name in none5 none1; do
	try lv create vg/$name --type raid${name#none} --size 2M
	try lv repair vg/$name
	try lv extend vg/$name --size 4M --nosync
	head -c 4194304 /dev/urandom >out
	try copy out vg/$name --force
	echo "vg/$name 4194304 $(md5sum <out | cut -d ' ' -f 1)" >>made.txt
done
grep -v '^vg/\(z\|other\)' made.txt >notes
cat >judge.sh <<'GUEST'
	set -e
	vgck vg half
	vgchange -ay vg half
	while read -r name bytes sum; do
		[ "$(head -c $bytes /dev/$name | md5sum | cut -d ' ' -f 1)" = $sum ] || echo "$name" >>/result/otherwise
	done </root/notes
	raids=$(cut -d ' ' -f 1 /root/notes)
	lvs --noheadings -o lv_name,sync_percent,lv_health_status $raids
	lvs --noheadings -o sync_percent,lv_health_status $raids | grep -v '100.00 *$' && exit 1
	for name in $raids; do lvchange --syncaction check $name; done
	until ! lvs --noheadings -o raid_sync_action $raids | grep -qv idle; do sleep 0.1; done
	lvs --noheadings --separator ' ' -o lv_name,raid_mismatch_count $raids >/result/mismatches
GUEST
disks=()
for disk in s? h?; do disks+=(--disk $disk); done
rig_boot uml --memory 320M --name judge "${disks[@]}" --with lvm2 --modules "$modules" --file notes --script judge.sh
[ ! -e "$(rig_results judge)/otherwise" ] || rig_fail "lvm2 reads otherwise: $(cat "$(rig_results judge)/otherwise")"
grep -v ' 0$' "$(rig_results judge)/mismatches" && rig_fail "dm-raid finds differences"
[ "$(wc -l <"$(rig_results judge)/mismatches")" = "$(wc -l <notes)" ] || rig_fail "not all were checked"
exit 0
