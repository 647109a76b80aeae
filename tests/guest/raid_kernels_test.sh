#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What `raid examine --kernels` says of this kernel's version is what its md does: takes an array, or refuses it.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
cd "$WORK"
make_set() { # NAME COUNT OPTION...: images NAME0 ...
	local name=$1 count=$2 i images=()
	shift 2
	for ((i = 0; i < count; i++)); do truncate -s $((16 + 8 * (i > 0)))M $name$i; images+=($name$i); done
	"$TENON" raid create $name --assume-clean "$@" "${images[@]}" ${MISSING-} >log 2>&1 || { cat log; rig_fail "creating $name"; }
}
patch() { # NAME OFFSET VALUE...: little-endian words of its superblocks
	python3 - "$@" <<'PYTHON'
import glob, struct, sys
for path in glob.glob(sys.argv[1] + "[0-9]"):
    with open(path, "r+b") as image:
        image.seek(4096)
        block = bytearray(image.read(4096))
        for offset, value in zip(sys.argv[2::2], sys.argv[3::2]):
            struct.pack_into("<I", block, int(offset), int(value, 0))
        struct.pack_into("<I", block, 216, 0)
        size = 256 + 2 * struct.unpack_from("<I", block, 220)[0]
        total = sum(struct.unpack_from(f"<{size // 4}I", block)) + (struct.unpack_from("<H", block, size - 2)[0] if size % 4 else 0)
        struct.pack_into("<I", block, 216, ((total & 0xffffffff) + (total >> 32)) & 0xffffffff)
        image.seek(4096)
        image.write(block)
PYTHON
}
make_set a 1 --level linear
make_set b 2 --level 0 --chunk 64K
patch b 8 0 76 0 # no layout, and it does not say that it has one; with one member in the second zone there is but one
make_set c 3 --level 0 --chunk 64K
patch c 8 0 76 0 # with two there are two
make_set d 2 --level 10 --layout 0x40201 --chunk 64K
make_set e 2 --level 5 --chunk 64K --consistency ppl
MISSING=missing make_set f 1 --level 1
patch f 224 512 # a logical block size
MISSING=missing make_set g 1 --level 1
patch g 8 0x2000 # a feature of tomorrow
MISSING=missing make_set h 3 --level 6 --chunk 64K --layout ddf-zero-restart
disks=() sets=
for image in [a-h][0-9]; do disks+=(--disk "$image"); sets+=" $image"; done
echo "$sets" >sets

rig_boot uml --name md "${disks[@]}" --with mdadm --modules "linear? raid0 raid1 raid10 raid456" --file sets --script - <<'GUEST'
	uname -r >/result/version
	set -- $DISKS
	names=$(cat /root/sets)
	last= members=
	try() {
		[ -n "$last" ] || return 0
		echo "trying $last: $members"
		if mdadm --assemble --run /dev/md0 $members >/result/said.$last 2>&1 && [ -b /dev/md0 ] && [ "$(cat /sys/block/md0/size)" != 0 ]; then
			echo "$last yes" >>/result/taken
		else
			echo "$last no" >>/result/taken
		fi
		mdadm --stop /dev/md0 >/dev/null 2>&1
	}
	for name in $names; do
		[ "${name%?}" = "$last" ] || { try; last=${name%?} members=; }
		members="$members $1"
		shift
	done
	try
	exit 0
GUEST
version=$(rig_result version)
for set in a b c d e f g h; do
	"$TENON" raid examine --kernels --json $set[0-9] 2>>log | python3 -c '
import json, sys
number = lambda text: tuple(int(part) for part in text.split("-")[0].split("."))
version, row = number(sys.argv[1]), json.load(sys.stdin)[0]
fits = any(number(one["from"]) <= version and (one["before"] is None or version < number(one["before"])) for one in row["kernels"])
print(sys.argv[2], "yes" if fits else "no")' "$version" $set
done >told
diff "$(rig_results md)/taken" told || { tail -n 3 "$(rig_results md)"/said.*; rig_fail "md $version and what is told of it differ"; }
[ "$(grep -c '^[^a].*no' told)" = 3 ] || { cat told; rig_fail 'not three are refused, but for linear, which not all have'; }
echo "as md $version has it"
