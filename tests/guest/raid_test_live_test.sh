#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon raid test --live`: in real time, with the array served to a guest that uses it through a hang that it waits for, a loss and its
# rebuild, and a power loss that takes it along.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
rig_require uml
command -v mdadm >/dev/null || rig_skip "mdadm is not installed"
cd "$WORK"
export TMPDIR=$WORK

cat >all.yaml <<'END'
name: all
array: {level: 5, members: 3, spares: 1, chunk: 64K, rebuild-min: 200M}
disks: {model: ssd, size: 32M}
workload: {kind: random, block: 4K, length: 4M, depth: 2, flush-every: 9, fill: yes, rate: 200, reads: 30, time: 8s}
events:
  - {at: 500ms, do: hang, disk: 0, for: 700ms}
  - {at: 2s, do: loss, disk: 1}
  - {at: rebuilt, after: 200ms, do: power, for: 500ms}
END
"$TENON" raid test all.yaml --live --json --report out >all.json || rig_fail "$(tail -n 30 all.json)"
python3 - <<'END' || rig_fail "$(head -c 3000 all.json)"
import json
report = json.load(open("all.json"))
health = [phase["health"] for phase in report["phases"]]
assert report["target"] == "live" and report["lost_sectors"] == report["silent_sectors"] == 0
assert health[0] == "whole" and "exposed" in health and "off" in health and health[-1] == "whole", health
assert report["work"]["writes"] > 100 and report["work"]["reads"] > 20
# The guest waited for the disk that did not answer.
assert report["work"]["latency_most_ns"] > 500e6, report["work"]
assert 0 < report["work"]["latency_median_ns"] < report["work"]["latency_most_ns"]
END
[ -s out/all-live.html ] || rig_fail "no page"

sed 's/{at: 500ms.*/{at: 500ms, do: restart}/' all.yaml >restart.yaml
! "$TENON" raid test restart.yaml --live 2>said || rig_fail "a restart was taken"
grep -q 'restart.: a live guest' said || rig_fail "restart: $(cat said)"
[ -z "$(ls -d tenon-lab-* 2>/dev/null)" ] || rig_fail "left: $(ls -d tenon-lab-*)"
echo "a live guest through a hang, a loss and a power loss"
