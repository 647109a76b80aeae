#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon raid test --target both`: scenarios against tenon's arrays and the kernel's md, on the same simulated disks. Where they come to
# the same, no difference is said; where docs/rebuild-lab.md explains one, it is that one. Nothing is left of a guest, also where the
# command is killed. TORTURE=1: every ready scenario.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
rig_require uml
command -v mdadm >/dev/null || rig_skip "mdadm is not installed"
cd "$WORK"
export TMPDIR=$WORK

limit=800
[ -z "${TORTURE:-}" ] || limit=2400 # md has no virtual time, and one scenario is ten minutes long
# SCENARIO: at both, into the file `said`.
both() {
	local status=0
	timeout -k 5 $limit "$TENON" raid test "$@" --target both >said 2>&1 || status=$?
	[ $status -le 1 ] || { tail -n 40 said; rig_fail "$1 did not run: $status"; }
}
same() {
	both "$@"
	grep -qx 'both are the same' said && [ "$(grep -c 'as expected$' said)" = 2 ] && ! grep -q 'NOT as' said ||
		{ tail -n 40 said; rig_fail "$1: a difference, or not as expected"; }
}

# What a guest cannot have, and what is missing on the host, is said before anything runs.
"$TENON" raid test show raid1-power | sed 's/    for: 3s/    for: 3s\n    keep: [1]/' >keep.yaml
! "$TENON" raid test keep.yaml --target md 2>said || rig_fail "keep was taken"
grep -q 'power.: keep' said || rig_fail "keep: $(cat said)"
mkdir none
! PATH=$WORK/none "$TENON" raid test raid1-power --target md 2>said || rig_fail "no linux.uml is needed"
grep -q 'install the package user-mode-linux' said || rig_fail "without linux.uml: $(cat said)"
# The guest has the library without which it loses interrupts of disks (README.md).
mkdir fake
printf '#!/bin/sh\ngrep uml-events /proc/self/maps >>%s/loaded\nexit 1\n' "$WORK" >fake/linux.uml
chmod 755 fake/linux.uml
! PATH=$WORK/fake:$PATH "$TENON" raid test raid1-power --target md 2>said || rig_fail "a guest that ends is none"
grep -q 'r-xp.*uml-events' loaded || rig_fail "the guest was run without uml-events.so: $(cat said)"

same raid1-power
grep -q '^ .*md: resync of RAID array md0' said || { tail -n 40 said; rig_fail "md's own words are missing"; }
same raid5-ppl
# A journal, a hang, a disk that is added again, a replacement, a check.
cat >works.yaml <<'END'
name: works
array: {level: 6, members: 4, spares: 1, chunk: 64K, consistency: journal, rebuild-min: 200M}
disks: {model: nvme, size: 32M}
workload: {kind: random, block: 4K, length: 2M, depth: 2, flush-every: 7, fill: yes, rate: 200, time: 5s, reads: 20}
events:
  - {at: 500ms, do: hang, disk: 1, for: 300ms}
  - {at: 1s, do: replace, disk: 0, with: 4}
  - {at: rebuilt, after: 200ms, do: remove, disk: 0}
  - {at: rebuilt, after: 400ms, do: add, disk: 0}
  - {at: done, after: 500ms, do: check}
END
same ./works.yaml
# md takes a second loss as the end of the array, and leaves what a spare already has: docs/rebuild-lab.md.
cat >two.yaml <<'END'
name: two
array: {level: 5, members: 4, spares: 1, chunk: 64K}
disks: {model: ssd, size: 64M}
workload: {kind: none, length: 1M, fill: yes}
events:
  - {at: 500ms, do: loss, disk: 2}
  - {at: 500ms, do: fail, disk: 2}
  - {at: 40%, do: loss, disk: 0}
expect: {data: lost, state: failed}
END
both ./two.yaml
grep -q '^  phases: tenon: .* > exposed; md: .* > failed' said || { tail -n 40 said; rig_fail "the second loss"; }
[ "$(grep -c '^  [a-z].*tenon: .*; md: ' said)" = 2 ] || { tail -n 40 said; rig_fail "more differences than are explained"; }

# Nor does it fill a spare once the last member with data was to fail: that is not waited for. mdadm 4.4 does not let it come to that.
cat >left.yaml <<'END'
name: left
array: {level: 1, members: 2, spares: 1, rebuild-max: 1M}
disks: {model: ssd, size: 8M}
workload: {kind: none, length: 1M, fill: yes}
events:
  - {at: 100ms, do: fail, disk: 1}
  - {at: 30%, do: fail, disk: 0}
expect: {data: intact, state: any}
END
both ./left.yaml
grep -q -e '^  state in the end: tenon: whole; md: degraded' -e 'array will be failed' said || { tail -n 40 said; rig_fail "a spare that is left"; }

"$TENON" raid test raid5-ppl --target both --json --report out >both.json || rig_fail "$(cat both.json)"
python3 -c 'import json; d = json.load(open("both.json")); assert d["differences"] == [] and d["md"]["target"] == "md" and d["tenon"]["met"]'
[ -s out/raid5-ppl.html ] && [ -s out/raid5-ppl-md.html ] || rig_fail "no reports"

if [ "${TORTURE:-}" = 1 ]; then
	for name in $("$TENON" raid test list --json | python3 -c 'import json, sys; print(*[s["name"] for s in json.load(sys.stdin) if not s["name"].startswith("volume")])'); do
		both "$name"
		grep -A 20 -x -e 'they differ:' -e 'both are the same' said | sed "s/^/$name: /"
	done
fi

# Killed in the middle.
"$TENON" raid test raid5-loss --target md >/dev/null 2>&1 &
pid=$!
running() { ls tenon-lab-*/console >/dev/null 2>&1; }
gone() { [ ! -e "$folder" ] && ! grep -qs "uml_dir=.*/$folder/" /proc/[0-9]*/cmdline; }
rig_await 60 running
folder=$(echo tenon-lab-*)
kill -KILL $pid
wait $pid 2>/dev/null || :
rig_await 60 gone
[ -z "$(ls -d tenon-lab-* 2>/dev/null)" ] || rig_fail "left: $(ls -d tenon-lab-*)"
echo "the same scenarios at tenon and md"
