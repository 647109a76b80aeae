#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `raid list` has the arrays that `mdadm --examine --brief` finds: of one name, with spares, short of members, in a reshape, or with too few of them;
# and says in what state they are.
set -u
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
for tool in mdadm python3; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
cd "$work" || exit 1
truncate -s 64M {a..o}.img
export TENON_DEVICES="$work/*.img"
do_it() { "$TENON" "$@" >out 2>&1 || problem "$*: $(cat out)"; }
# Level, UUID, name, places and spares, a line for each array.
theirs() {
	mdadm --examine --brief --verbose ./*.img | python3 -c '
import re, sys
for text in sys.stdin.read().split("ARRAY ")[1:]:
    word = lambda key: (re.search(r"\b" + key + r"=(\S+)", text) or [0, ""])[1]
    # mdadm 4.4 says the name in the path alone.
    name = word("name") or re.match(r"/dev/md/(\S*)", text)[1]
    print(word("level"), word("UUID"), name, word("num-devices"), word("spares") or 0)' | sort
}
ours() {
	"$TENON" raid list --json 2>said | python3 -c '
import json, sys
for row in json.load(sys.stdin):
    print(row["level"], row["uuid"], row["name"], row["devices"], row["spares"])' | sort
}
same() {
	theirs >theirs
	ours >ours
	[ "$(wc -l <theirs)" = "$1" ] || problem "mdadm finds $(cat theirs)"
	diff theirs ours >out || problem "mdadm and raid list differ: $(cat out)"
}

do_it raid create twice --level 1 a.img b.img --spare c.img
do_it raid create twice --force --level 5 --consistency ppl --metadata 1.0 d.img e.img f.img
do_it raid create short --level 6 g.img h.img i.img missing
do_it raid create line --level linear j.img k.img
do_it raid create moved --level 5 l.img m.img n.img
do_it raid grow moved --devices 4 --add o.img
same 5
expect 1 'two arrays have this name' "$TENON" raid show twice
for uuid in $(awk '$3 == "twice" { print $2 }' ours); do expect 0 "$uuid" "$TENON" raid show "$uuid"; done
expect 0 'short +clean, degraded +raid6' "$TENON" raid list
expect 0 'moved +clean, in the middle of a reshape +raid5' "$TENON" raid list

# Too few are left: named all the same, with why, and with what the superblocks of the rest say.
mkdir away
mv h.img i.img k.img away
same 5
expect 0 'short +not assembled +raid6 .*g.img|short +not assembled +raid6 .*members are here' "$TENON" raid list
expect 4 'line +not assembled' "$TENON" raid list --test
expect 1 '/j.img +0 ' "$TENON" raid show line

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
