#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Who cannot look has not seen that nothing is there: a runtime directory that cannot be read holds no "no server", and what is mounted is not "nothing"
# where the kernel's list cannot be read. Such commands fail before they change anything, and say what they could not see.
# timeout: 120
set -u
. "$(dirname "$0")/lib.sh"
if [ "$(id -u)" = 0 ]; then # who may read everything
	command -v setpriv >/dev/null || { echo 'setpriv is not installed (package util-linux)'; exit 77; }
	work_in=$(mktemp -d) && chmod 777 "$work_in" && cp "$TENON" "$work_in/tenon" && cp -r tests/interop "$work_in"
	mkdir -p "$work_in/tests" && mv "$work_in/interop" "$work_in/tests" && cp tests/processes.sh "$work_in/tests"
	TENON=$work_in/tenon TMPDIR=$work_in setpriv --reuid=65534 --regid=65534 --clear-groups "$work_in/tests/interop/cannot_look_test.sh"
	rc=$?
	rm -rf "$work_in"
	exit $rc
fi
cd "$work" || exit 1
cleanup() {
	chmod 700 run
	! mountpoint -q m || fusermount3 -uz m
}
truncate -s 64M p.img
export TENON_DEVICES=$work/p.img
"$TENON" vg create vg p.img && "$TENON" lv create vg/l --size 8M || problem 'cannot make a volume'
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"

# ---- Servers ----
chmod 300 run
unseen='run: cannot look into the runtime directory: Permission denied'
expect 1 "$unseen" "$TENON" lv create vg/x --size 4M
expect 1 "$unseen" "$TENON" lv remove vg/l
expect 1 "$unseen" "$TENON" copy vg/l x.img
[ ! -e x.img ] || problem 'something was copied'
mkdir m
expect 1 'vg: which servers run cannot be seen: Permission denied' "$TENON" mount vg m
chmod 700 run
expect 0 '^l$' "$TENON" lv list -H -o name

# ---- What a server has open ----
# Another name of its device: whose it is is seen in /proc, and without that the server is asked.
ln p.img q.img
no_proc() { unshare -rm sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@"; }
if no_proc true 2>/dev/null; then
	TENON_DEVICES=$work/q.img expect 0 '' no_proc "$TENON" lv create vg/q --size 4M
	expect 0 '^q$' "$TENON" lv list -H -o name
	expect 0 '' "$TENON" lv remove vg/q
fi
rm q.img

# ---- Mounts ----
# fusermount3 unmounts nothing where there is no /etc/mtab, as in a bare chroot.
if [ -w /dev/fuse ] && [ -e /etc/mtab ] && command -v fusermount3 >/dev/null; then
	expect 0 '' "$TENON" mount vg m
	chmod 300 run
	expect 1 "$unseen" "$TENON" unmount m
	[ "$(ls m)" = l ] || problem "what could not be waited for was unmounted, or shows nothing: $(ls m)"
	chmod 700 run
	if no_proc true 2>/dev/null; then
		for command in "unmount m" "mount vg m"; do
			# shellcheck disable=SC2086
			expect 1 'm: what is mounted there cannot be seen: No such file' no_proc "$TENON" $command
		done
	fi
	expect 0 '' "$TENON" unmount m
fi

[ $failures = 0 ] && echo "passed"
[ $failures = 0 ]
