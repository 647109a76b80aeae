#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Damaged fields of labels, headers and metadata texts: what tenon says of them is what docs/volume-damage.md says, what is refused is left as it
# was, and looking changes nothing. Some of them; with TORTURE=1 all, and lvm2 is asked again.
set -u
. "$(dirname "$0")/lib.sh"
damage=$PWD/tests/interop/volume_damage.py document=$PWD/docs/volume-damage.md
step=17
[ -z "${TORTURE:-}" ] || step=1
cd "$work" || exit 1
export TENON_RUNTIME_DIR=$work TENON_STATE_DIR=$work TENON_ARCHIVE=off LVM_SUPPRESS_FD_WARNINGS=1
python3 "$damage" make "$TENON" "$work" || problem "the group cannot be made"
python3 "$damage" ours "$TENON" "$work" $step >said || problem "see above"
[ "$(wc -l <said)" -gt 10 ] || problem "only $(wc -l <said) were damaged"
theirs=-
if [ $step = 1 ] && command -v lvm >/dev/null && [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	# What other versions say is in other words.
	lvm version 2>/dev/null | grep -q ' 2\.03\.16' && theirs=theirs
	[ $theirs = - ] || python3 "$damage" theirs "$work" 1 >theirs || problem "lvm2 cannot be asked"
fi
python3 "$damage" compare "$document" said $theirs || problem "the table says otherwise"
exit $((failures > 0))
