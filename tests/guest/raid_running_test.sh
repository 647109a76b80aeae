#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Of arrays that run, `mdadm --detail` and /proc/mdstat say what `raid show` says: of copies of md's members, made meanwhile, and of arrays in
# the same state that a server runs. And mismatch_cnt and bad blocks are what a check and superblocks say here.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
export TZ=UTC
for disk in a b c d; do truncate -s 24M $disk; done
cat >script <<'GUEST'
	set -e
	set -- $DISKS
	md=/sys/block/md7/md
	# Until a command succeeds.
	await() { tries=0; until "$@" 2>&1; do tries=$((tries + 1)); [ $tries -lt 1500 ] || { grep . $md/sync_* $md/array_state; echo "waited in vain for: $*"; return 1; }; sleep 0.2; done; }
	is() { [ "$(sed 's/ .*//' $md/$1)" = "$2" ]; }
	make() { name=$1; shift; mdadm --create /dev/md7 --run --homehost=none --name=$name "$@" 2>&1; }
	# Superblocks, bitmaps and logs are in the first three MiB; what is in journals was made good already.
	told() { # [AS]
		state=${1-$name}
		sync
		mdadm --detail /dev/md7 >/result/$state.detail
		cp /proc/mdstat /result/$state.mdstat
		for disk in $DISKS; do dd if=$disk bs=1M count=3 iflag=direct 2>/dev/null | gzip >/result/$state.${disk#/dev/ubd}.gz; done
		echo $name >/result/$state.name
		[ ! -e $md/mismatch_cnt ] || cat $md/mismatch_cnt >/result/$state.mismatches
	}
	over() {
		[ ! -e $md/sync_action ] || { echo idle >$md/sync_action; echo max >$md/sync_max; }
		await mdadm --stop /dev/md7
		for disk in $DISKS; do dd if=/dev/zero of=$disk bs=1M count=12 2>/dev/null; done
	}
	pace() { echo $1 >/proc/sys/dev/raid/speed_limit_min; echo $2 >/proc/sys/dev/raid/speed_limit_max; }
	hold() { echo $1 >$md/sync_max; }
	held() { await is sync_completed $1; }
	make whole -l 5 --assume-clean -b internal -n 3 -x 1 $1 $2 $3 $4; told
	mdadm /dev/md7 --fail $4 2>&1; told spent
	over
	make hurt -l 5 --assume-clean -b none -n 3 $1 $2 $3; mdadm /dev/md7 --fail $2 2>&1; await is degraded 1; told
	await mdadm /dev/md7 --remove $2; told gone
	over
	make filled -l 1 -b none -n 2 $1 missing; hold 2048; mdadm /dev/md7 --add $2 2>&1; held 2048; told
	over
	make replaced -l 1 -b none --assume-clean -n 2 $1 $2; mdadm /dev/md7 --add $3 2>&1; hold 2048; mdadm /dev/md7 --replace $2 --with $3 2>&1; held 2048; told
	over
	make mostly -l 1 --assume-clean -b none -n 2 $1 --write-mostly $2; told
	over
	make logged -l 5 -n 3 --write-journal $4 $1 $2 $3; mdadm --wait /dev/md7 || :; await is array_state clean; told
	over
	make striped -l 0 -n 2 $1 $2; told
	over
	pace 1 1; make synced -l 1 -b none -n 2 $1 $2; await mdadm --stop /dev/md7; pace 1000 200000
	echo 1 >/sys/module/md_mod/parameters/start_ro; mdadm --assemble /dev/md7 $1 $2 2>&1; echo 0 >/sys/module/md_mod/parameters/start_ro; told pending
	hold 24576; mdadm --readwrite /dev/md7 2>&1; held 24576; told
	over
	make active -l 5 --assume-clean -b none -n 3 $1 $2 $3; echo 3600 >$md/safe_mode_delay; dd if=/dev/zero of=/dev/md7 bs=64k count=1 conv=fsync 2>&1; told
	over
	make moved -l 5 --assume-clean -b none -n 3 $1 $2 $3; mdadm /dev/md7 --add $4 2>&1; hold 0
	mdadm --grow /dev/md7 -n 4 2>&1 &
	await eval '[ "$(cat $md/reshape_position)" != none ] && [ "$(cat $md/sync_action)" = reshape ]'
	told; kill $! || :; hold max; await is sync_action idle
	over
	make bad -l 1 --assume-clean -b none -n 2 $1 $2; echo "4096 8" >$md/dev-ubdb/bad_blocks; echo "6144 1" >$md/dev-ubdb/bad_blocks; await grep "^6144 1" $md/dev-ubdb/bad_blocks
	# With the next update of superblocks they are written.
	dd if=/dev/zero of=/dev/md7 bs=4k count=1 conv=fsync 2>&1; await is array_state clean; cat $md/dev-ubdb/bad_blocks >/result/bad_blocks; told
	over
	# What differs: a byte, two near it, and one far away, in the last member.
	for level in 1 10 5; do
		case $level in 1) disks="$1 $2" last=$2 ;; 10) disks="$1 $2 $3 $4" last=$4 ;; 5) disks="$1 $2 $3" last=$3 ;; esac
		make scrub$level -l $level --assume-clean -b none -n $(echo $disks | wc -w) $disks
		start=$(cat $md/dev-${last##*/}/offset)
		for at in 1000 1100 5000 2100000 9000000; do printf X | dd of=$last bs=1 seek=$((start * 512 + at)) conv=notrunc,fsync 2>/dev/null; done
		hold 4096; echo check >$md/sync_action; held 4096; told middle$level
		hold max; mdadm --wait /dev/md7 || :; await is sync_action idle; told checked$level
		echo repair >$md/sync_action; mdadm --wait /dev/md7 || :; await is sync_action idle; told repaired$level
		echo check >$md/sync_action; mdadm --wait /dev/md7 || :; await is sync_action idle; told good$level
		over
	done
GUEST
rig_boot uml --disk a --disk b --disk c --disk d --with mdadm --modules "raid456 raid1 raid10 raid0" --memory 384M --script script
failed=0
results=$(rig_results)
judge() { # HOW STATE
	python3 "$TOP/tests/guest/raid_detail.py" "$1" "$results/$2.detail" "$1.$2.json" "$results/$2.mdstat" || { failed=1; cat "$results/$2.detail" "$results/$2.mdstat"; }
}

# ---- Copies of md's members ----
states="whole spent hurt gone filled replaced mostly logged striped pending synced active moved bad"
for state in $states; do
	rm -rf copy; mkdir copy
	for disk in a b c d; do gunzip <"$results/$state.$disk.gz" >copy/$disk; truncate -s 24M copy/$disk; done
	TENON_DEVICES="$WORK/copy/?" "$TENON" raid show "$(cat "$results/$state.name")" --json >moment.$state.json || rig_fail "$state: it is not shown"
	judge moment $state
done
"$TENON" raid examine copy/b --json >examined.json
python3 - "$results/bad_blocks" examined.json moment.bad.json <<'PYTHON' || failed=1
import json, sys
theirs = sorted(tuple(map(int, line.split())) for line in open(sys.argv[1]))
row = json.load(open(sys.argv[2]))[0]
ours = sorted((r["offset_bytes"] // 512, r["length_bytes"] // 512) for r in row["bad_ranges"])
counts = [m["bad_blocks"] for m in json.load(open(sys.argv[3]))["members"] if m["device"].endswith("/b")]
assert theirs == ours == [(4096, 8), (6144, 1)] and counts == [2], f"bad_blocks of md: {theirs}, examined: {ours}, shown: {counts}"
PYTHON

# ---- Arrays that a server runs ----
mkdir live
disk() { local name; for name in "$@"; do truncate -s 24M live/$name; done; }
made() { "$TENON" raid create "$@" >/dev/null 2>create.err || rig_fail "raid create $*: $(cat create.err)"; }
export TENON_DEVICES="$WORK/live/*"
for name in whole spent filled replaced moved hurt gone logged striped synced; do disk $name.a $name.b $name.c $name.d; done
cd live
for name in whole spent; do made $name --level 5 --bitmap internal $name.a $name.b $name.c --spare $name.d; done
for name in hurt gone moved; do made $name --level 5 $name.a $name.b $name.c; done
made filled --level 1 filled.a missing
made replaced --level 1 replaced.a replaced.b
made logged --level 5 --journal logged.d logged.a logged.b logged.c
made striped --level 0 striped.a striped.b
made synced --level 1 --size 8M synced.a synced.b
for level in 1 10 5; do
	case $level in 1) disks="a b" last=b ;; 10) disks="a b c d" last=d ;; 5) disks="a b c" last=c ;; esac
	members=
	for disk in $disks; do disk=scrub$level.$disk; truncate -s 24M $disk; members+=" $disk"; done
	made scrub$level --level $level --assume-clean $members
	start=$("$TENON" raid examine scrub$level.$last --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["data_offset_bytes"])')
	for at in 1000 1100 5000 2100000 9000000; do printf X | dd of=scrub$level.$last bs=1 seek=$((start + at)) conv=notrunc status=none; done
done
cd ..
# What rebuilds goes slowly from its first step on.
rig_daemon served "$TENON" serve --socket-dir s md/{whole,spent,filled,replaced,moved,hurt,gone,logged,striped,synced} md/scrub{1,10,5}
rig_await 100 grep -q ^ready served.log
runs() { "$TENON" raid show $1 --json | grep -q "\"operation\": \"$2\""; }
for name in synced filled replaced moved; do "$TENON" raid speed $name --min none --max 64K >/dev/null; done
cd live
say() { "$TENON" raid "$@" >said 2>&1 || rig_fail "raid $*: $(cat said)"; }
say_no() { local what=$1; shift; ! "$TENON" raid "$@" >said 2>&1 && grep -q "$what" said || rig_fail "raid $*: $(cat said)"; }
say fail spent spent.d
say fail hurt hurt.b
say fail gone gone.b
say remove gone gone.b
say add filled filled.b
say add replaced replaced.c
say_no "is a member of md/replaced already" add replaced replaced.c
say replace replaced replaced.b --with replaced.c
say grow moved --devices 4 --add moved.d
say grow synced --size max
cd ..
rig_await 60 runs filled recover
rig_await 60 runs replaced recover
rig_await 60 runs moved reshape
rig_await 60 runs synced resync
for state in whole spent hurt gone filled replaced logged striped moved synced; do
	"$TENON" raid show $state --json >beside.$state.json
	judge beside $state
done
# md counts whole parts of its own: 64 KiB of copies, 4 KiB of each stripe. `while`: a check that has come as far as md's was held at.
cat >mismatches.py <<'PYTHON'
import json, sys
step, level, theirs = sys.argv[1], int(sys.argv[2]), int(open(sys.argv[3]).read())
p = json.load(open(sys.argv[4]))["progress"]
unit = 4096 if level == 5 else 65536
if step == "while" and not (p["operation"] == "check" and unit <= p["position_bytes"] <= 2 << 20):
    sys.exit(2)
units = {at // unit for r in p["mismatches"] for at in range(r["offset_bytes"], r["offset_bytes"] + r["length_bytes"], 512)}
if theirs != len(units) * unit // 512 or (theirs == 0) != (p["mismatch_bytes"] == 0) or p["cut_short"] != (step == "while"):
    print(f"{step}, level {level}: md counts {theirs} sectors, tenon says {p}")
    sys.exit(1)
PYTHON
shows() { # STEP LEVEL RESULT
	local rc=0
	"$TENON" raid show scrub$2 --json >$1.json
	python3 mismatches.py $1 $2 "$results/$3$2.mismatches" $1.json || rc=$?
	[ $rc != 1 ] || failed=1
	[ $rc != 2 ]
}
for level in 1 5 10; do
	if [ $level != 10 ]; then # which counts in bytes of the array
		"$TENON" raid speed scrub$level --min none --max 256K >/dev/null
		"$TENON" raid check scrub$level >/dev/null 2>&1 &
		rig_await 60 shows while $level middle
		"$TENON" raid speed scrub$level --max none >/dev/null
		wait $! || :
	fi
	"$TENON" raid check scrub$level >/dev/null 2>&1 || :
	shows checked $level checked
	"$TENON" raid repair scrub$level --force >/dev/null 2>&1 || :
	shows repaired $level repaired
	"$TENON" raid check scrub$level >/dev/null 2>&1 || :
	shows good $level good
done
[ $failed = 0 ] && echo "mdadm, /proc/mdstat and tenon say the same" || rig_fail "mdadm says otherwise"
