#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon raid test`: each ready scenario ends as it says, byte for byte the same twice; what is wrong in a scenario is said with
# its line and column before anything runs.
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

"$TENON" raid test list --json >list.json
mapfile -t names < <(python3 -c 'import json; print("\n".join(s["name"] for s in json.load(open("list.json"))))')
[ ${#names[@]} -ge 4 ] || problem "only ${#names[@]} ready scenarios"
for name in "${names[@]}"; do
	"$TENON" raid test show "$name" >"$name.yaml"
	# Groups are only explored.
	! grep -q '^volume:' "$name.yaml" || continue
	"$TENON" raid test "$name" --json >one.json || [ "$name" = raid5-late-loss ] || problem "$name: $(head -n 20 one.json)"
	"$TENON" raid test "$name" --json | cmp -s - one.json || problem "$name: another run is different"
done
"$TENON" raid test ./raid5-loss.yaml --seed 5 --json >five.json || problem "as a file: $(cat five.json)"
"$TENON" raid test raid5-loss --seed 6 --json | cmp -s - five.json && problem 'two seeds are one'

# A write in the middle of unreadable sectors makes those good, and no others.
"$TENON" raid test raid6-latent --seed 6 >latent || problem "seed 6: $(cat latent)"
grep -q 'disk3.*noted as bad' latent && problem "a write did not make sectors good: $(cat latent)"

# What is expected and not so.
sed 's/before: 1min/before: 1ms/' raid5-loss.yaml >late.yaml
expect 1 'unmet +rebuilt-before 1ms: it was at' "$TENON" raid test late.yaml
sed 's/data: lost/data: intact/' raid5-two-losses.yaml >two.yaml
expect 1 'unmet +data: [0-9]+ sectors are lost' "$TENON" raid test two.yaml
sed 's/at: 1s/at: write 100000000/' raid5-loss.yaml >never.yaml
expect 1 'unmet +events: the 1. \(loss\) never came: write 100000000' "$TENON" raid test never.yaml
# Without the second parity.
sed 's/level: 6/level: 5/' raid6-latent.yaml >five.yaml
expect 1 'unmet +data: [0-9]+ sectors are lost' "$TENON" raid test five.yaml

# Rot in a level without copies is silent, and found by what is read.
cat >rot.yaml <<'END'
name: rot
array: {level: 0, members: 2, chunk: 64K}
disks: {model: instant, size: 16M}
workload: {kind: random, length: 1M, fill: yes, count: 10, reads: 100}
events:
  - {at: write 0..0, do: rot, disk: 0, sector: 2048, sectors: 1024}
END
sed -i 's/at: write 0..0/at: done/' rot.yaml
expect 1 'no error said so' "$TENON" raid test rot.yaml

# What is wrong in a scenario.
wrong() {
	local sed=$1 pattern=$2
	sed "$sed" raid5-loss.yaml >wrong.yaml
	expect 2 "wrong.yaml$pattern" "$TENON" raid test wrong.yaml
}
wrong 's/  chunk:/  chunks:/' ":7:3: there is no key 'chunks'"
expect 2 "did you mean 'chunk'" "$TENON" raid test wrong.yaml
wrong 's/do: loss/do: lose/' ":23:9: there is no do 'lose'"
wrong 's/at: 1s/at: 1 parsec/' ":22:9: at: '1 parsec'"
wrong 's/level: 5/level: 7/' ": array: .*7"
wrong 's/size: 256M/size: 1/' ":10:9: size"
wrong '/size: 256M/d' ": disks: size is missing"
wrong 's/level: 5/level: 5\n  level: 6/' ":5:3: level is said twice"
wrong 's/disk: 2/disk: [2, 99]/' ":24:15: disk"
wrong 's/name: .*/name: ..\/elsewhere/' ": name '../elsewhere'"
wrong 's/^array:/array: [/' ":[0-9]+:[0-9]+: "
# A small file that stands for a large one, one that has itself in it, and one that is too deep.
{ printf 'name: bomb\narray: {level: 1, members: 2}\ndisks: {size: 4M}\nevents:\n  - &e {at: 1s, do: power, keep: ['
	seq -s, 3000; printf ']}\n'; for _ in {1..9000}; do echo '  - *e'; done; } >bomb.yaml
expect 2 'bomb.yaml:5:[0-9]+: too many values' "$TENON" raid test bomb.yaml
printf 'name: &a [*a]\narray: {level: 5}\n' >cycle.yaml
expect 2 'cycle.yaml:[0-9]+:[0-9]+: ' "$TENON" raid test cycle.yaml
{ printf 'name: deep\narray: '; printf '[%.0s' {1..1200}; echo; } >deep.yaml
expect 2 'deep.yaml:[0-9]+:[0-9]+: ' "$TENON" raid test deep.yaml
expect 2 'no ready scenario.*' "$TENON" raid test raid5-los
expect 2 "did you mean 'raid5-loss'" "$TENON" raid test raid5-los

# The power goes at every write: the write holes are found where nothing guards against them, and only there; what was found is
# found again by the event that is printed. TORTURE=1 explores longer runs.
count=$([ "${TORTURE:-}" = 1 ] && echo 3000 || echo 60)
for level in 5 6; do
	name=raid$level-write-hole
	"$TENON" raid test $name --explore >hole && problem "raid$level: no write hole was found: $(cat hole)"
	grep -q 'the shortest that fails so, .*: 1 requests, 1 events' hole || problem "raid$level: not shrunk: $(cat hole)"
	sed '1,/^---$/d' hole >again.yaml
	expect 1 'unmet +data: sector [0-9]+ holds .* no error said so' "$TENON" raid test again.yaml
	# As a file, and the command that replays it; the same each time.
	"$TENON" raid test $name --explore --report shrunk >hole
	cmp -s shrunk/$name-shrunk.yaml again.yaml || problem "raid$level: another file: $(cat hole)"
	command=$(sed -n 's/^  again: tenon //p' hole)
	# shellcheck disable=SC2086 # it is words
	expect 1 'unmet +data: sector' "$TENON" $command
done
for name in raid5-ppl raid5-explore raid6-journal; do
	[ $name != raid6-journal ] || [ $count = 60 ] || count=300
	"$TENON" raid test show $name | sed "s/count: .*/count: $count/" >longer.yaml
	expect 0 ' [1-9][0-9][0-9]+ states .* 0 failures' "$TENON" raid test longer.yaml --explore
done

# What md and mdadm had, ours has not.
seeds=$([ "${TORTURE:-}" = 1 ] && echo 300 || echo 3)
for name in "${names[@]}"; do
	[[ $name == bug-* ]] || continue
	"$TENON" raid test "$name" --runs "$seeds" >runs || problem "$name: $(cat runs)"
	grep -q 'To be explored' "$name.yaml" || continue
	expect 0 ' [1-9][0-9]+ states .* 0 failures' "$TENON" raid test "$name" --explore
done

# Volume groups: with disks that keep their promises nothing is found, with others it is. TORTURE=1 looks at more subsets.
expect 0 '^volume-commits: [1-9][0-9][0-9]+ states .* 0 failures' "$TENON" raid test volume-commits --explore --subject volume
{ cat volume-commits.yaml; echo 'events: [{at: 0s, do: reorder, disks: [0, 1, 2]}]'; } >lying.yaml
[ "${TORTURE:-}" != 1 ] || echo 'explore: {subsets: 12, samples: 2000}' >>lying.yaml
expect 1 '[1-9][0-9]* failures' "$TENON" raid test lying.yaml --explore
expect 2 'which is explored: expected --explore' "$TENON" raid test volume-commits
expect 2 'it is about a volume, expected array' "$TENON" raid test volume-commits --explore --subject array
expect 2 'it is about a volume' "$TENON" raid test --compare volume-commits volume-commits
expect 2 'expected array or volume' "$TENON" raid test volume-commits --explore --subject pool
sed 's/rename a c/rename a/' volume-commits.yaml >words.yaml
expect 2 'words.yaml: 11: ops: .rename a.: expected rename NAME NEW' "$TENON" raid test words.yaml --explore
sed 's/resize a 256K/resize z 256K/' volume-commits.yaml >words.yaml
expect 2 'ops: the 4. .resize z 256K.: z: there is no such volume' "$TENON" raid test words.yaml --explore
sed 's/do: reorder/do: loss/' lying.yaml >words.yaml
expect 2 'only reorder can be had' "$TENON" raid test words.yaml --explore

# Many seeds: the times of two policies that differ are said to.
expect 1 '^  unmet with seed [0-9]+: ' "$TENON" raid test raid5-late-loss --runs 10 --report shrunk
expect 1 'unmet +data: [0-9]+ sectors are lost' "$TENON" raid test shrunk/raid5-late-loss-shrunk.yaml
json '0 < d["runs_lost"] < d["runs"] and d["lost_low"] < d["runs_lost"] / d["runs"] < d["lost_high"]' \
	"$TENON" raid test raid5-late-loss --runs 20 --json
"$TENON" raid test show raid5-loss | sed 's/spares: 1/spares: 1\n  rebuild-max: 20M/; s/name: .*/name: slow/' >slow.yaml
expect 0 '^  exposed, s .* differ' "$TENON" raid test --compare raid5-loss slow.yaml --runs 3
expect 2 'takes two scenarios' "$TENON" raid test --compare raid5-loss

expect 0 'as expected' "$TENON" raid test raid5-loss --report out
# An older report gives way, a letter does not.
expect 0 'as expected' "$TENON" raid test raid5-loss --report out
mkdir letters && echo 'Dear Ada' >letters/raid5-loss.html
expect 2 'letters/raid5-loss.html: holds .* expected a report' "$TENON" raid test raid5-loss --report letters
grep -q Ada letters/raid5-loss.html || problem 'a letter gave way to a report'
grep -q '<svg' out/raid5-loss.html || problem 'the page has no timeline'
grep -qE '(src|href)=' out/raid5-loss.html && problem 'the page needs something else'
json 'd["met"] and len(d["samples"]) > 10' cat out/raid5-loss.json
[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
