#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a person sees on a terminal of 80 columns: listings that do not wrap, with the state; columns, order and units as
# they are asked for; colours; a progress line that fits; and, elsewhere, all columns and whole values.
set -u
. "$(dirname "$0")/lib.sh"
on=$PWD/tests/interop/on_terminal.py
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
server=
cleanup() { [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server"; }; }
# A folder whose name alone is longer than a terminal is wide.
folder=$work/$(printf 'long-%.0s' {1..20})
mkdir "$folder" && cd "$folder" || exit 1
export TENON_RUNTIME_DIR=$work/run TENON_DEVICES_FILE=$work/none
unset NO_COLOR
# [columns=80] shows PATTERN COMMAND...: on so many columns it says that, and nothing is wider.
shows() {
	local pattern=$1 wide=${columns:-80} out
	shift
	out=$(python3 "$on" "$wide" "$@")
	grep -Eq -- "$pattern" <<<"$out" || problem "'$*' showed: $out; expected: $pattern"
	python3 -c '
import re, sys
for line in sys.stdin:
    line = re.sub("\x1b\\[[0-9;]*m", "", line.rstrip("\n"))
    if len(line) > int(sys.argv[1]): sys.exit(f"{len(line)} columns: {line}")' "$wide" <<<"$out" || problem "'$*' is wider than $wide columns"
}
expect() {
	local status=$1 pattern=$2 rc out
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	[ $rc = "$status" ] || problem "'$*' gave $rc, expected $status: $out"
	grep -Pq -- "$pattern" <<<"$out" || problem "'$*' said: $out; expected: $pattern"
}

truncate -s 64M a.img b.img c.img d.img e.img
export TENON_DEVICES="$folder/*.img"
"$TENON" raid create r0 --level 1 a.img b.img --spare c.img || exit 1
"$TENON" vg create vg0 md/r0 && "$TENON" vg create other d.img || exit 1
name=$(printf 'volume-%.0s' {1..14})
"$TENON" lv create vg0/root --size 8M --tag one && "$TENON" lv create "vg0/$name" --size 4M && "$TENON" lv create other/x --size 40M || exit 1

shows '^r0 +clean ' "$TENON" raid list
shows '^  a.img +in sync +0' "$TENON" raid show r0
shows '^UUID: +[0-9a-f:]{35}$' "$TENON" raid show r0
shows '^root +vg0 ' "$TENON" lv list
shows '^volume-.*\.\.\. +vg0 ' "$TENON" lv list
shows '^other +complete' "$TENON" vg list
shows '^  d.img ' "$TENON" vg show other
shows '^d.img +other' "$TENON" pv list
shows '^a.img +yes' "$TENON" device list
shows '^kvm ' "$TENON" host check
shows '^nothing runs' "$TENON" status
shows '^  data .*members differ in 0$' "$TENON" raid test raid5-loss
# Where a sentence has no room beside the rest it begins below; a name that is to be typed stays whole.
columns=40 shows '^bug-failure-recorded-raid10$' "$TENON" raid test list
columns=40 shows '^    A member of a RAID5 is lost under$' "$TENON" raid test list
columns=40 shows '^kvm +(yes|no)$' "$TENON" host check
columns=40 shows '^    [0-9a-f:]{35}$' "$TENON" raid show r0
columns=40 shows '^    Created .before. executing' "$TENON" vg archive other
columns=30 shows '^    A check of a mirror finds$' "$TENON" raid test list
expect 0 "^other +[^ ]+ +1 +archive +[^ ]+ +$work/.*archive/other_[^ ]*.vg +- +Created .before. executing 'tenon lv create other/x'" "$TENON" vg archive other
python3 "$on" 80 "$TENON" raid show r0 | tail -n 24 >last
grep -q '^  a.img' last || problem "the members are not on the last 24 lines: $(cat last)"
# Elsewhere all columns, and whole values.
expect 0 "^$folder/d.img +other .* [0-9A-Za-z]{6}-[0-9A-Za-z-]{31} " "$TENON" pv list
expect 0 "^$name +vg0 " "$TENON" lv list
expect 0 "^  $folder/a.img +0 +in sync" "$TENON" raid show r0

# Words that are not written as others are.
expect 0 '^Table UUID: ' "$TENON" image show a.img
expect 0 '^OS: ' "$TENON" image show a.img
expect 0 '^ +Number .* Partition UUID .* OS version ' "$TENON" image show a.img
expect 0 '^Max PVs: ' "$TENON" vg show other
expect 0 '^System ID: ' "$TENON" vg show other

# As lvs and zfs have it.
expect 0 "^root\t8 MiB$" "$TENON" lv list vg0 -H -o name,size
expect 0 "^root\t8388608$" "$TENON" lv list vg0 -H -o name,size_bytes --units b
expect 0 "^root\t8.39 MB$" "$TENON" lv list vg0 --no-header --columns name,size --units M
expect 0 "^root\t8192.00 KiB$" "$TENON" lv list -Ho name,size --units k
expect 0 '^LV .* UUID$' python3 "$on" 80 "$TENON" lv list -o +uuid
expect 0 '^state$' "$TENON" raid list -o help
[ "$("$TENON" lv list -H -o name --sort -size,name | tr '\n' ' ')" = "x root $name " ] || problem "--sort -size"
[ "$("$TENON" lv list -H -o name --sort size | tr '\n' ' ')" = "$name root x " ] || problem "--sort size"
[ "$("$TENON" lv list --json --sort -size | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["name"])')" = x ] ||
	problem "--sort --json"
for verb in 'raid list' 'lv list' 'vg list' 'pv list' 'device list' 'host check'; do
	# shellcheck disable=SC2086
	expect 2 "no column 'nonsense'; there are: .*, " "$TENON" $verb -o nonsense
	# shellcheck disable=SC2086
	expect 2 "no column 'nonsense'; there are: .*, " "$TENON" $verb --sort -nonsense
done
expect 2 'expected h, b, k' "$TENON" lv list --units furlong
expect 2 'auto, always or never' "$TENON" lv list --color mauve
expect 2 'tables' "$TENON" lv list --json -o name

# A state that is not as it should be is coloured, on a terminal.
red=$'\e'
expect 0 '^r0 +clean ' "$TENON" raid list --color always
"$TENON" raid fail r0 c.img 2>/dev/null && "$TENON" raid fail r0 b.img 2>/dev/null || problem 'raid fail'
expect 0 "^r0 +$red\\[33mclean, degraded$red\\[0m" python3 "$on" 80 "$TENON" raid list
expect 0 "b.img +$red\\[31mfaulty$red\\[0m" python3 "$on" 80 "$TENON" raid show r0
expect 0 '^r0 +clean, degraded ' env NO_COLOR=1 python3 "$on" 80 "$TENON" raid list
expect 0 '^r0 +clean, degraded ' python3 "$on" 80 "$TENON" raid list --color never
expect 0 '^r0 +clean, degraded ' "$TENON" raid list
expect 0 "^r0 +$red\\[33mclean, degraded$red\\[0m" "$TENON" raid list --color always

# The progress line: never wider than the terminal, also after that has become narrower; of a stream too.
slow() { for _ in 1 2 3 4 5 6 7 8; do head -c 2M /dev/zero; sleep 0.4; done; }
export -f slow
export TENON
# shellcheck disable=SC2016
python3 "$on" 80,12,80 bash -c 'slow | "$TENON" copy - stream.raw' >out || problem "copy from a stream: $(cat out)"
python3 -c '
import sys
width, drawn, narrow = 80, 0, 0
for line in open(sys.argv[1]):
    line = line.rstrip("\n")
    if line.startswith("== "):
        width = int(line.split()[1])
        continue
    drawn += line.startswith("copy")
    narrow += width == 12 and len(line) < 12
    if len(line) >= 80: sys.exit(f"{len(line)} columns: {line}")
if drawn < 3: sys.exit(f"drawn {drawn} times")' out || problem "the stream's progress: $(cat out)"
grep -Eq '^copy +[0-9.]+ (K|M)iB, .*[0-9]:[0-9]{2}$' out || problem "the stream's progress has no rate and time: $(cat out)"
shows '^copy \[#+\] 100%  64 MiB of 64 MiB' "$TENON" copy e.img whole.raw
"$TENON" copy e.img whole.raw --force 2>out || problem "copy: $(cat out)"
[ ! -s out ] || problem "progress where there is no terminal: $(cat out)"

# Beside a server.
cd "$work" || exit 1
"$TENON" serve vg0 --socket-dir s --degraded >serve.out 2>&1 &
server=$!
for _ in $(seq 600); do grep -q ready serve.out && break; sleep 0.1; done
shows '^root .* s/vg0-root.sock' "$TENON" lv list
shows '^vg0/root .* s/vg0-root.sock' "$TENON" status
shows '^r0 +.*degraded' "$TENON" raid list
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
