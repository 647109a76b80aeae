#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Bad links beside Linux's netem with the same parameters: the same distributions of delay, loss, runs of loss, duplicates, order and rate, by
# tests of two samples, each at a level of 1e-5. Delays are in seconds, so that a busy host is no more than noise.
. "$(dirname "$0")/rig.sh"
set -eu
rig_begin
TOOL=$TOP/build/tests/helpers/link_netem
[ -x "$TOOL" ] || rig_skip "link_netem is not built"
for tool in tc ip; do command -v $tool >/dev/null || rig_skip "$tool is not installed"; done
shopt -s nullglob
tables=(/usr/lib/tc /usr/lib/*/tc)
tables=("${tables[@]/%//normal.dist}")
for table in "${tables[@]}"; do [ ! -e "$table" ] || folder=${table%/*}; done
[ -n "${folder-}" ] || rig_skip "there are no tables of tc here"
ip=$(command -v ip) tc=$(command -v tc) # busybox has such of its own
many=20000 some=4000 deadline=120
[ -z "${TORTURE:-}" ] || many=200000 some=40000 deadline=3000
cd "$WORK"
# 2^30 ns: netem takes 32 random bits modulo twice the jitter, which favours early packets where that does not divide 2^32.
# NAME:COUNT:LENGTH, netem's words, the test, ours.
cat >cases <<CASES
uni:$some:100|delay 3s 1.073741824s|delay|delay=3s jitter=1073741824ns
norm:$some:100|delay 3s 500ms distribution normal|delay|delay=3s jitter=500ms,normal
lose:$many:100|loss 5%|loss|loss=5%
burst:$many:100|loss gemodel 2% 20% 100% 0%|loss|loss=gemodel,2%,20%
soft:$many:100|loss gemodel 5% 30% 70% 1%|loss|loss=gemodel,5%,30%,30%,99%
twice:$many:100|duplicate 5%|duplicate|duplicate=5%
order:$some:100|delay 3s reorder 25%|reorder|delay=3s reorder=25%
slow:400:1000|rate 1mbit|rate|rate=1M queue=10s
small:300:60|rate 40kbit|rate|rate=40k queue=10s
few:300:1500|rate 100kbit|count|rate=100k queue=50p
par:$some:100|delay 3s 700ms distribution pareto|delay|delay=3s jitter=700ms,table=$folder/pareto.dist
mix:$some:100|delay 4s 800ms distribution paretonormal|delay|delay=4s jitter=800ms,table=$folder/paretonormal.dist
tight:$some:100|delay 2s 400ms distribution normal|delay|delay=2s jitter=400ms,table=$folder/normal.dist
long:$many:100|loss gemodel 0.5% 5%|loss|loss=gemodel,0.5%,5%
half:$many:100|loss gemodel 10% 10% 50% 5%|loss|loss=gemodel,10%,10%,50%,95%
often:$some:100|delay 3s reorder 70%|reorder|delay=3s reorder=70%
CASES
{
	echo "set -e"
	while IFS='|' read -r pair netem _; do
		name=${pair%%:*}
		echo "$ip link add ${name}0 type veth peer name ${name}1"
		echo "$ip link set ${name}0 up; $ip link set ${name}1 up"
		echo "$tc qdisc add dev ${name}0 root netem limit 1000000 $netem"
	done <cases
	echo "$tc qdisc change dev few0 root netem limit 50 rate 100kbit"
	echo "$TOOL probe /result $(cut -d '|' -f 1 cases | tr '\n' ' ')"
} >script
rig_boot uml --with "$TOOL" --with tc --with ip --file "$folder:$folder" --modules "veth sch_netem" --memory 512M \
	--deadline $deadline --script script
wrong=0
while IFS='|' read -r pair netem test ours; do
	echo "netem $netem: tenon $ours"
	# shellcheck disable=SC2086 # words
	"$TOOL" judge "$(rig_results)" "$pair" $test $ours || { echo "failed: they differ"; wrong=1; }
done <cases
# And other parameters are found out: so far off that chance does not hide them (each at least ten deviations, or twice the limit).
while IFS='|' read -r pair test ours; do
	# shellcheck disable=SC2086
	! "$TOOL" judge "$(rig_results)" "$pair" $test $ours >/dev/null || { echo "failed: $ours passes, too"; wrong=1; }
done <<CASES
uni:$some:100|delay|delay=3s jitter=1400ms
norm:$some:100|delay|delay=3s jitter=900ms,normal
lose:$many:100|loss|loss=8%
burst:$many:100|loss|loss=gemodel,2%,40%
soft:$many:100|loss|loss=gemodel,5%,30%,80%,99%
twice:$many:100|duplicate|duplicate=8%
order:$some:100|reorder|delay=3s reorder=40%
slow:400:1000|rate|rate=1100k queue=10s
small:300:60|rate|rate=44k queue=10s
few:300:1500|count|rate=100k queue=53p
par:$some:100|delay|delay=3s jitter=1100ms,table=$folder/pareto.dist
mix:$some:100|delay|delay=4s jitter=800ms,table=$folder/normal.dist
tight:$some:100|delay|delay=2s jitter=600ms,table=$folder/normal.dist
long:$many:100|loss|loss=gemodel,0.5%,40%
half:$many:100|loss|loss=gemodel,10%,10%,80%,95%
often:$some:100|reorder|delay=3s reorder=60%
CASES
exit $wrong
