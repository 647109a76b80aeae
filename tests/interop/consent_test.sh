#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Nothing is lost that could be recognised without somebody having said so: by an option, or by the answer to a question on
# a terminal. A dry run, and every refusal, leave each byte of each device as it was.
set -u
cd "$(dirname "$0")/../.." || exit 1
TENON=$(realpath "${TENON:-build/tenon}")
pty=$PWD/tests/interop/consent_pty.py
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
for tool in mke2fs mkswap sfdisk; do
	command -v $tool >/dev/null || { echo "$tool is not in the PATH"; exit 77; }
done
work=$(mktemp -d) || exit 1
server="" digests=""
cleanup() {
	[ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server"
	kill "$digests" 2>/dev/null && wait "$digests" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES=$work/p.img:$work/q.img
failures=0
problem() { echo "FAILED line ${BASH_LINENO[1]}: $*"; failures=$((failures + 1)); }
# expect STATUS PATTERN ARGUMENT...: of tenon, without a terminal.
expect() {
	local status=$1 pattern=$2 rc out
	shift 2
	out=$("$TENON" "$@" 2>&1 </dev/null)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $out"
	grep -Eq -- "$pattern" <<<"$out" || problem "'$*' said: $out; expected: $pattern"
}
# A digest of each image, which are mostly holes: of the pages that are not all zeroes, and where they are. One process
# answers all questions for it: to start an interpreter for each took most of this test's time.
cat >digest.py <<'PROGRAM'
import glob, hashlib, os, sys
for line in sys.stdin:
    answer = hashlib.sha256()
    for path in sorted(glob.glob("./*.img")):
        fd, at = os.open(path, os.O_RDONLY), 0
        size = os.fstat(fd).st_size
        answer.update(b"%s %d" % (path.encode(), size))
        while at < size:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA) & -65536
            except OSError:
                break
            part = os.pread(fd, 65536, at)
            if part.strip(b"\0"):
                answer.update(b"%d " % at + part)
            at += 65536
        os.close(fd)
    print(answer.hexdigest(), flush=True)
PROGRAM
mkfifo ask answer
exec 8<>ask 9<>answer
python3 digest.py <ask >answer 8>&- 9>&- &
digests=$!
sums() {
	local line
	echo >&8
	read -r -t 60 line <&9 || echo "no digest: $RANDOM"
	echo "$line"
}
# unchanged STATUS PATTERN ARGUMENT...: the same, and every byte is as it was.
unchanged() {
	local before
	before=$(sums)
	expect "$@"
	[ "$(sums)" = "$before" ] || problem "'${*:3}' changed a device"
}
# asked ANSWER STATUS PATTERN ARGUMENT...: on a terminal.
asked() {
	local answer=$1 status=$2 pattern=$3 rc out
	shift 3
	out=$(python3 "$pty" "$answer" "$TENON" "$@")
	rc=$?
	[ $rc = "$status" ] || problem "'$*', answered $answer, gave $rc, expected $status: $out"
	grep -Eq -- "$pattern" <<<"$out" || problem "'$*' said: $out; expected: $pattern"
}
asked_unchanged() {
	local before
	before=$(sums)
	asked "$@"
	[ "$(sums)" = "$before" ] || problem "'${*:4}' changed a device"
}

truncate -s 200M p.img q.img
before=$(sums)
printf x | dd of=q.img bs=1 seek=100M conv=notrunc status=none
[ "$(sums)" != "$before" ] || problem 'the digest does not see a byte'
rm q.img && truncate -s 200M q.img
[ "$(sums)" = "$before" ] || problem 'the digest is not the same for the same'
expect 0 '' vg create vg p.img q.img

# ---- Smaller volumes, with something on them; here and in a server ----
shrink() {
	expect 0 '' lv create vg/e --size 64M
	truncate -s 40M fs && mke2fs -q -F -t ext4 -L root fs && expect 0 '' copy --force fs vg/e
	unchanged 1 'has 64 MiB, and would be cut to 8 MiB; on it: ext4 file system "root" of 40 MiB' lv resize vg/e --size 8M
	unchanged 1 'lv reduce' lv resize vg/e --size -4M
	for command in 'resize --shrink' reduce 'reduce --yes' 'reduce --dry-run' 'resize --yes --shrink'; do
		unchanged 1 'from 64 MiB to 36 MiB; the ext4 file system "root" on it, of 40 MiB would be cut' lv $command vg/e --size 36M
	done
	unchanged 0 '^vg/e: would be reduced from 64 MiB to 40 MiB' lv reduce vg/e --size 40M --dry-run
	unchanged 0 'has 40 MiB, and stays whole' lv reduce vg/e --size -24M --dry-run
	unchanged 0 'on it, of 40 MiB would be cut' lv reduce vg/e --size 36M --dry-run --force
	unchanged 0 '^vg/e: has 64 MiB, and would keep them' lv resize vg/e --size 64M --dry-run
	unchanged 0 'would be extended from 64 MiB to 68 MiB' lv extend vg/e --size +1M --dry-run
	# The wrong way, and words that are no size.
	unchanged 1 'would be cut to 8 MiB' lv extend vg/e --size 8M
	unchanged 1 'would grow to 100 MiB.*' lv reduce vg/e --size 100M
	unchanged 1 'cannot be made smaller by 64 MiB' lv reduce vg/e --size -64M
	unchanged 2 'expected a size, or - before it' lv reduce vg/e --size +4M
	unchanged 2 'expected a size, or [+] before it' lv extend vg/e --size -4M
	unchanged 2 '4 MiB, or 4 bytes' lv extend vg/e --size +4
	unchanged 2 'either --size or --extents' lv resize vg/e
	unchanged 2 'either --size or --extents' lv resize vg/e --size 1G --extents 4
	# Done, and said.
	expect 0 'has 40 MiB now, had 64 MiB' lv reduce vg/e --size 40M
	"$TENON" copy vg/e - | cmp - fs || problem 'the file system was cut'
	expect 0 'has 44 MiB now, had 40 MiB: 41 MiB, rounded up to whole extents of 4 MiB' lv extend vg/e --size +1M
	expect 0 'has 48 MiB now' lv extend vg/e --extents +1
	expect 0 'has 48 MiB already' lv resize vg/e --size 48M
	unchanged 0 '^vg/blank: would be made, 12 MiB: 9 MiB, rounded up to whole extents of 4 MiB' lv create vg/blank --size 9M --dry-run
	unchanged 0 'q.img: 3 extents from extent 0 on' lv create vg/blank --size 20M --stripes 2 --dry-run
	unchanged 1 'are needed' lv create vg/blank --size 2G --dry-run
	unchanged 1 'that were named is counted' lv create vg/blank --size 20M --dry-run p.img:0-1
	unchanged 1 'has a volume of that name|exists|there is' lv create vg/e --size 4M --dry-run
	expect 0 'has 12 MiB: 9 MiB, rounded up to whole extents of 4 MiB' lv create vg/blank --size 9M
	expect 0 'has 36 MiB now' lv reduce vg/e --size 36M --force
	# Nothing is on this one.
	expect 0 'has 8 MiB now, had 12 MiB' lv reduce vg/blank --size 8M
	unchanged 0 '^vg/blank: would be removed, 8 MiB$' lv remove vg/blank --dry-run
	expect 0 '' lv remove vg/blank
	# And removal.
	unchanged 1 'vg/e: would be removed, 36 MiB; the ext4 file system "root" on it would be lost' lv remove vg/e
	unchanged 0 'the ext4 file system "root" on it would be lost' lv remove vg/e -n
	expect 0 '' lv remove vg/e -y
}
shrink
"$TENON" serve vg --socket-dir s >server.out 2>server.err &
server=$!
for _ in $(seq 1200); do grep -q ready server.out && break; sleep 0.05; done
shrink
kill $server && wait $server || problem "the server: $(cat server.err)"
server=

# Kinds that say how large they are; one that does not is not cut either.
holds() {
	local kind=$1 size=$2
	expect 0 '' lv create vg/k --size 64M
	expect 0 '' copy --force fs vg/k
	unchanged 1 "the $kind.* on it,.* $size.*would be cut" lv reduce vg/k --size 12M
	unchanged 1 "the $kind.* on it would be lost" lv remove vg/k
	expect 0 '' lv remove vg/k --yes
}
for type in ext2 ext3 ext4; do
	rm -f fs && truncate -s 30M fs && mke2fs -q -F -t $type fs && holds "$type file system" 'of 30 MiB'
done
rm -f fs && truncate -s 16M fs && mkswap fs >/dev/null 2>&1 && holds swap 'of 16 MiB'
rm -f fs && truncate -s 20M fs && echo ';' | sfdisk -q -X gpt fs && holds gpt 'of 20 MiB'
rm -f fs && truncate -s 20M fs && echo ';' | sfdisk -q -X dos fs && holds dos 'of 20 MiB'
rm -f fs && truncate -s 20M fs && printf 'LUKS\272\276\0\1' | dd of=fs conv=notrunc status=none && printf 'aes' | dd of=fs bs=1 seek=8 conv=notrunc status=none &&
	holds crypto_LUKS 'whose size is not known here'

# ---- Questions ----
expect 0 '' lv create vg/a --size 16M
for answer in n no '' EOF maybe; do
	asked_unchanged "$answer" 1 'nothing was changed' lv remove vg/a
	asked_unchanged "$answer" 1 'would be reduced from 16 MiB to 8 MiB' lv reduce vg/a --size 8M
done
asked y 0 'had 16 MiB' lv reduce vg/a --size 8M
asked_unchanged n 0 'would be removed' lv remove vg/a --dry-run
asked yes 0 'would be removed, 8 MiB' lv remove vg/a
expect 1 'no volume' lv show vg/a
expect 0 '' lv create vg/a --size 16M
asked_unchanged n 1 'would be cut' lv resize vg/a --size 8M
out=$(python3 "$pty" n "$TENON" lv remove --yes vg/a) || problem "--yes on a terminal: $out"
grep -q 'y/N' <<<"$out" && problem '--yes was asked'

# ---- Devices that become something new ----
export TENON_DEVICES=$work/a.img:$work/b.img:$work/c.img
truncate -s 64M a.img b.img c.img d.img && mke2fs -q -F -t ext4 -L mine a.img 32M
unchanged 1 'holds an ext4 file system "mine"' raid create r --level 1 a.img b.img
unchanged 0 'a.img: would become a member of md/r' raid create r --level 1 a.img b.img --dry-run
unchanged 0 'the ext4 file system "mine" on it would be lost' raid create r --level 1 a.img b.img --dry-run
unchanged 0 'd.img: would become a spare of md/r' raid create r --level 1 missing b.img --spare d.img --dry-run
asked_unchanged n 1 '"mine" on it would be lost' raid create r --level 1 a.img b.img
unchanged 1 'a mirror of one device keeps nothing twice' raid create r --level 1 b.img
asked y 0 '"mine" on it would be lost' raid create r --level 1 a.img b.img
expect 0 'clean|active|idle|read' raid show r
unchanged 1 'there is an array of this name' raid create r --level 1 c.img missing
expect 0 '' raid create r --level 1 c.img missing --force
unchanged 1 'holds' vg create w c.img
unchanged 0 'c.img: would become a physical volume of w' vg create w c.img --dry-run
unchanged 0 'linux_raid_member.* on it would be lost' vg create w c.img -n
asked_unchanged no 1 'linux_raid_member.* on it would be lost' vg create w c.img
expect 0 '' vg create w c.img --yes
unchanged 0 '^w: would be removed' vg remove w --dry-run
unchanged 0 'c.img: would be a physical volume of no group' vg remove w --dry-run
asked_unchanged '' 1 'nothing was changed' vg remove w
asked y 0 'w: would be removed' vg remove w
# What is a physical volume of no group stays one.
out=$(python3 "$pty" n "$TENON" vg create w c.img) || problem "an orphan: $out"

# ---- Copies ----
expect 0 '' lv create w/v --size 20M
rm -f fs && truncate -s 16M fs && mke2fs -q -F -t ext4 -L fs fs && expect 0 '' copy fs w/v
head -c 16M /dev/urandom >new
unchanged 1 'w/v: holds ext4 file system "fs"' copy new w/v
unchanged 1 'w/v: holds' copy - w/v
unchanged 0 '^w/v: would be written to from new, 16 MiB' copy new w/v --dry-run
unchanged 0 'the ext4 file system "fs" on it would be lost' copy new w/v -n
asked_unchanged n 1 'the ext4 file system "fs" on it would be lost' copy new w/v
expect 0 'other: would be made from w/v, 20 MiB' copy w/v other --dry-run
[ ! -e other ] || problem 'a dry run made a file'
asked y 0 'would be overwritten' copy new w/v
"$TENON" copy w/v - | cmp -n 16M - new || problem 'the copy'
expect 0 '' copy --yes fs w/v
# On an array, which is looked at without being started.
expect 0 '' copy --yes fs md/"$("$TENON" raid show r --device a.img --device b.img --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["uuid"])')" --device a.img --device b.img
unchanged 1 'md/r: holds ext4 file system "fs"' copy new md/r --device a.img --device b.img

# ---- Options that could do nothing ----
unchanged 2 'bitmap-chunk: without a bitmap' raid create x --level 1 a.img b.img --bitmap-chunk 64K
unchanged 2 'bitmap-chunk: without a bitmap' raid create x --level 1 a.img b.img --bitmap none --bitmap-chunk 64K
unchanged 2 'stripe-size: a linear volume has no stripes' lv create w/x --size 4M --stripe-size 64K
unchanged 2 'stripe-size: a linear volume has no stripes' lv create w/x --size 4M --stripes 1 --stripe-size 64K
unchanged 2 '--force: it is about the file of --capture' switch run s --force
unchanged 2 '--force: it is about a file of --console' vm run --kernel x --force
unchanged 2 'expected 1.0, 1.1 or 1.2' raid create x --level 1 a.img b.img --metadata 2
unchanged 2 'expected none or internal' raid create x --level 1 a.img b.img --bitmap maybe

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
