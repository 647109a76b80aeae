#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Commands that meet a server while it ends do what they were asked to: by the server, or on the devices once it has let go
# of them. Nothing is done twice or not at all, and none says anything of a connection.
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES=$work/a:$work/b TENON_STATE_DIR=$work/state
rounds=8
[ -z "${TORTURE:-}" ] || rounds=${TORTURE_ROUNDS:-200}
truncate -s 64M a b
"$TENON" raid create r --level 1 a b && "$TENON" vg create vg md/r && "$TENON" lv create vg/v --size 8M || exit 1

# each NAME COMMAND...: six times; what fails is in the file NAME.
each() {
	local name=$1 i
	shift
	for i in 1 2 3 4 5 6; do "${@//@/$i}" >"$name.out" 2>&1 </dev/null || echo "$name $i: $(cat "$name.out")" >>"$name"; done
}

for ((round = 0; round < rounds; round++)); do
	rm -f tags looks
	launch server.out "$TENON" serve --socket-dir s || problem "the server: $(cat server.out)"
	each tags "$TENON" lv tag vg/v --add "t$round.@" &
	one=$!
	each looks "$TENON" raid show r &
	two=$!
	# At any moment of what these do.
	sleep 0.0$((round * 37 % 100))
	kill -TERM "$launched"
	wait "$launched" || problem "the server: $(cat server.out)"
	wait $one $two
	for failed in tags looks; do
		[ ! -s $failed ] || problem "$(cat $failed)"
	done
	json "len([t for t in d['tags'] if t.startswith('t$round.')]) == 6" "$TENON" lv show vg/v --json
done
pids=()
[ $failures = 0 ] && echo "all as expected: $rounds servers"
exit $((failures > 0))
