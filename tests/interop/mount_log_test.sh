#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The system's log takes nothing (its daemon is stopped, or its disk does not answer): a mount serves and ends as before.
set -u
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { echo "a /dev of its own needs root"; exit 77; }
[ -w /dev/fuse ] || { echo "there is no /dev/fuse"; exit 77; }
if [ -z "${IN_NAMESPACE-}" ]; then
	unshare -m true 2>/dev/null || { echo "mount namespaces cannot be made here"; exit 77; }
	rm -rf "$work"
	IN_NAMESPACE=1 exec unshare -m "$0" "$@"
fi
cd "$work" || exit 1
cleanup() { umount -l m dev; } 2>/dev/null
export TENON_DEVICES=$work/a.img
# /dev/log is ours here.
mkdir dev m
mount -t tmpfs none dev && mkdir dev/shm dev/pts || exit 1
for name in null zero full random urandom tty fuse; do : >dev/$name && mount --bind /dev/$name dev/$name; done
mount --rbind dev /dev || exit 1
cat >full.py <<'END'
import signal, socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect("/dev/log")
sender.setblocking(False)
try:
    while True:
        sender.send(b"<14>full")
except BlockingIOError:
    pass
print("ready", flush=True)
signal.pause()
END
launch full.out python3 full.py || { echo "no log: $(cat full.out)"; exit 1; }

truncate -s 32M a.img
expect 0 '' "$TENON" vg create vg a.img
expect 0 '' "$TENON" lv create vg/l --size 8M
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
expect 0 '' "$TENON" mount vg m
# A server that goes away is told in the log.
kill -9 "$launched"
wait "$launched" 2>/dev/null
expect 1 'Input/output' timeout 60 dd if=m/l of=/dev/null bs=4K count=1
launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
reads() { timeout 10 dd if=m/l of=/dev/null bs=4K count=1 status=none 2>/dev/null; }
wait_for reads
expect 0 '' timeout 60 "$TENON" unmount m
[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'a log that takes nothing holds no mount'
