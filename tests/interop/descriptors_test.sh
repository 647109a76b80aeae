#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Standard descriptors as parents leave them: closed ones never become a disk, and a listing that does not
# arrive is not reported as done.
set -u
. "$(dirname "$0")/../place.sh"
# A tmpfs, where writes of a few bytes at any place are taken, is where messages would do harm.
work_in=$(place 64)
. "$(dirname "$0")/lib.sh"
server=
cleanup() { [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server"; }; }
cd "$work" || exit 1
export TENON_DEVICES=$work/p.img

truncate -s 32M p.img
"$TENON" vg create vg0 p.img && "$TENON" lv create vg0/root --size 4M || exit 1
before=$(head -c 512 p.img | sha256sum)

# Each subset of the three closed: the server runs, says what it has to say, and the image is as it was.
for closed in '' '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
	(
		eval "${closed:+exec $closed}"
		exec "$TENON" serve --verbose --socket-dir s
	) >>said 2>&1 &
	server=$!
	for _ in $(seq 1200); do
		listens s/vg0-root.sock && ls run/serve-*.sock >/dev/null 2>&1 && break
		sleep 0.05
	done
	kill -0 $server 2>/dev/null || problem "serve with '$closed' does not run"
	# Traffic makes messages; a second client is turned away with one.
	timeout 300 "$TENON" copy vhost-user:s/vg0-root.sock - >/dev/null 2>&1 || problem "no disk with '$closed'"
	kill $server
	wait $server || problem "serve with '$closed' ended with $?"
	server=
	[ "$(head -c 512 p.img | sha256sum)" = "$before" ] || problem "serve with '$closed' wrote into the image"
done

# Standard output that takes nothing: full, closed, or a pipe whose reader has left.
for verb in 'vg list' 'lv list --json' 'lv show vg0/root' 'pv dump p.img' '--version' '--help' 'lv --help' 'host check'; do
	message=$("$TENON" $verb 2>&1 >/dev/full)
	[ $? = 1 ] || problem "$verb >/dev/full gave no error"
	case $message in *'standard output: No space left on device'*) ;; *) problem "$verb >/dev/full: $message" ;; esac
	message=$("$TENON" $verb 2>&1 >&-)
	[ $? = 1 ] || problem "$verb >&- gave no error"
	case $message in *'standard output: '*) ;; *) problem "$verb >&-: $message" ;; esac
done
mkfifo pipe
: <pipe &
exec 3>pipe
wait $!
for verb in 'vg list' '--version' 'copy p.img -'; do
	message=$("$TENON" $verb 2>&1 >&3)
	status=$?
	[ $status = 141 ] && [ -z "$message" ] || problem "$verb into a pipe without a reader gave $status: $message"
	# Who has SIGPIPE ignored wants to be told.
	message=$(trap '' PIPE; "$TENON" $verb 2>&1 >&3)
	status=$?
	[ $status = 1 ] || problem "$verb into a pipe without a reader, SIGPIPE ignored, gave $status"
	case $message in *'Broken pipe'*) ;; *) problem "$verb, SIGPIPE ignored: $message" ;; esac
done
exec 3>&-

# A closed standard input is no empty file.
message=$("$TENON" copy - out.img 2>&1 <&-) && problem "copied from a closed standard input"

[ $failures = 0 ] || exit 1
echo "passed"
