#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Where control sockets are: a runtime directory of somebody else is refused and explained; who is root in a namespace of
# his own (`unshare -rn`) without XDG_RUNTIME_DIR uses the same place as outside of it. And whose HOME is not set has the home that he has.
set -u
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
unset TENON_RUNTIME_DIR XDG_RUNTIME_DIR
as=() uid=$(id -u)
if [ "$uid" = 0 ]; then
	uid=64321
	as=(setpriv --reuid $uid --regid $uid --clear-groups)
	chmod 711 "$work" && cp "$TENON" tenon && TENON=$work/tenon
	mkdir own && chown $uid:$uid own
	# ---- Of another user ----
	mkdir theirs && chown 65534 theirs
	expect 1 'theirs: the runtime directory belongs to user 65534.*, expected user 0' \
		env TENON_RUNTIME_DIR="$work/theirs" "$TENON" switch run s
	expect 1 'TENON_RUNTIME_DIR came with the environment of another user' env TENON_RUNTIME_DIR="$work/theirs" "$TENON" switch run s
	mkdir xdg && mkdir xdg/tenon && chown 65534 xdg/tenon
	expect 1 'XDG_RUNTIME_DIR came with the environment of another user' env XDG_RUNTIME_DIR="$work/xdg" "$TENON" switch run s
	# One that is not there is not made there.
	mkdir xdg2 && chown 65534 xdg2
	expect 1 'xdg2: XDG_RUNTIME_DIR belongs to user 65534.*, expected user 0' env XDG_RUNTIME_DIR="$work/xdg2" "$TENON" switch run s
	# Who cannot look has not seen that nothing is there.
	for verb in 'switch list' 'status' 'raid watch --oneshot'; do
		# shellcheck disable=SC2086
		expect 1 'xdg2: XDG_RUNTIME_DIR belongs to user 65534.*, expected user 0' env XDG_RUNTIME_DIR="$work/xdg2" "$TENON" $verb
	done
	chmod 700 xdg2
	expect 1 "xdg2: XDG_RUNTIME_DIR belongs to user 65534.*, expected user $uid" "${as[@]}" env XDG_RUNTIME_DIR="$work/xdg2" "$TENON" switch list
	[ ! -e xdg2/tenon ] || problem 'a folder was made in the runtime directory of another user'
else
	mkdir own
fi
touch file
expect 1 'file: is no directory' env TENON_RUNTIME_DIR="$work/file" "$TENON" switch run s
expect 1 'file: is no directory' env TENON_RUNTIME_DIR="$work/file" "$TENON" switch list
expect 0 'SWITCH' env TENON_RUNTIME_DIR="$work/not/there" "$TENON" switch list

# ---- Too long, and relative ----
long=$work/$(printf 'n%.0s' $(seq 100))
mkdir "$long"
expect 1 'switch-s.sock: the control socket.s path has 1[0-9][0-9] bytes, a socket.s may have 107' \
	env XDG_RUNTIME_DIR="$long" "$TENON" switch run s --socket-dir s --port p=vhost-user
expect 1 'set TENON_RUNTIME_DIR to a directory with a shorter path' env XDG_RUNTIME_DIR="$long" "$TENON" switch show s
expect 0 'no control socket in /' env XDG_RUNTIME_DIR=relative TENON_RUNTIME_DIR= "$TENON" status
[ ! -e relative ] || problem 'a relative XDG_RUNTIME_DIR is used'

# ---- Without HOME ----
who=()
[ "$uid" != 64321 ] || who=(setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups)
home=$("${who[@]}" id -un) && home=$(getent passwd "$home" | cut -d : -f 6)
[ -z "$home" ] || expect 0 "\($home/.config/tenon/devices\)" "${who[@]}" env -u HOME -u XDG_CONFIG_HOME -u TENON_DEVICES -u TENON_DEVICES_FILE "$TENON" device list

# ---- In a namespace ----
place=/tmp/tenon-$uid
was_there=
[ ! -e "$place" ] || was_there=yes
cleanup() { [ -n "$was_there" ] || rm -rf "$place"; }
if "${as[@]}" unshare -rn true 2>/dev/null; then
	# exec: it is the switch that is ended, not what is round it.
	(cd own && exec "${as[@]}" unshare -rn "$TENON" switch run runtime-test --port p=vhost-user --socket-dir . >../out 2>../err) &
	pids=($!)
	for _ in $(seq 1200); do grep -q ready out && break; sleep 0.05; done
	grep -q ready out || problem "the switch in a namespace: $(cat out err)"
	[ -S "$place/switch-runtime-test.sock" ] || problem "no socket in $place: $(ls -la "$place" 2>&1)"
	expect 0 'p' "${as[@]}" "$TENON" switch show runtime-test
	expect 0 'runtime-test' "${as[@]}" unshare -rn "$TENON" status
	kill "${pids[0]}" && wait "${pids[0]}" || problem "the switch ended with $?: $(cat err)"
	pids=()
else
	echo "namespaces of users cannot be made here: not tried"
fi

[ $failures = 0 ] && echo "all as expected"
exit $((failures > 0))
