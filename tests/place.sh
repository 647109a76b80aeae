# SPDX-License-Identifier: BSD-2-Clause
# Folders for what tests need in memory or to execute: a container's /dev/shm has 64 MiB, others mount it noexec. To be
# sourced (bash).

# place MIB [exec]: prints a folder with that much room, in memory if there is one; with "exec" programs run there.
# PLACES lists others to try, in place of these.
place() {
	local folder probe
	for folder in ${PLACES:-/dev/shm "${TMPDIR:-/tmp}" /tmp /var/tmp}; do
		[ -d "$folder" ] && [ -w "$folder" ] || continue
		[ "$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')" -ge "$1" ] || continue
		if [ "${2-}" = exec ]; then
			probe=$(mktemp "$folder/tenon-XXXXXX") || continue
			printf '#!/bin/sh\n' >"$probe"
			chmod 700 "$probe"
			"$probe" 2>/dev/null || { rm -f "$probe"; continue; }
			rm -f "$probe"
		fi
		echo "$folder"
		return 0
	done
	return 1
}
