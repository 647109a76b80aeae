# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Other processes, where only one moment is the right one. To be sourced (bash).

# stop_process PID: SIGSTOP, and until none of its threads runs. `kill` returns before that: one of them takes the signal, whenever it
# has a processor, and until then all others go on. False where it does not stop within a minute.
stop_process() {
	kill -STOP "$1" || return
	for _ in $(seq 1200); do
		! grep -hs '^State:' "/proc/$1/task/"*/status | grep -qv '[TXZ] (' && return
		sleep 0.05
	done
	echo "process $1 does not stop" >&2
	return 1
}

# listens SOCKET: whether somebody does. Its file is there a moment before, when who connects is refused. Other tests have sockets of
# the same relative name: the file is compared, where the kernel says it (unix_diag).
listens() {
	local file
	file=$(stat -c %i "$1" 2>/dev/null) || return
	ss -xlHe | awk -v name="${1##*/}" -v file=" ino:$file " '
		$2 == "LISTEN" && $5 ~ "(^|/)" name "$" && (!/ ino:/ || index($0, file)) { found = 1 }
		END { exit !found }'
}
