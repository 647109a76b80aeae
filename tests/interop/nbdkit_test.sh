#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The nbdkit plugin, judged by other people's NBD clients: nbdinfo, nbdcopy, qemu-img, qemu-io, fio; machines and NBD clients
# see one disk; a server that is killed.
set -u
. "$(dirname "$0")/lib.sh"
IO=$(realpath build/tests/helpers/block_io 2>/dev/null) || { echo 'block_io is not built'; exit 77; }
PLUGIN=$(realpath "${TENON%/*}/nbdkit-tenon-plugin.so" 2>/dev/null) || { echo 'the plugin is not built'; exit 77; }
case $PLUGIN in *sanitize*) echo 'nbdkit has no sanitizer for a plugin that needs one'; exit 77 ;; esac
for tool in nbdkit nbdinfo nbdcopy qemu-img qemu-io; do
	command -v $tool >/dev/null || { echo "$tool is not installed (packages nbdkit, libnbd-bin, qemu-utils)"; exit 77; }
done
cd "$work" || exit 1
truncate -s 256M a.img
export TENON_DEVICES=$work/a.img TENON_STATE_DIR=$work/state
disk=vhost-user:s/vg-l.sock
"$TENON" vg create vg a.img && "$TENON" lv create vg/l --size 64M || problem 'cannot make a volume'
serve() {
	launch serve.out "$TENON" serve vg --socket-dir s || problem "no server: $(cat serve.out)"
	server=$launched
}
# with PARAMETER... -- COMMAND: an NBD export for the time of a command, in which $uri is it.
with() {
	local parameters=()
	while [ "$1" != -- ]; do parameters+=("$1"); shift; done
	timeout 800 nbdkit -U - "$PLUGIN" "${parameters[@]}" --run "$2"
}

# ---- Refused ----
expect 1 'expected VG/LV' with -- true
expect 1 'expected VG/LV' with vg -- true
expect 1 'no parameter' with vg/l speed=high -- true
expect 1 'no running server serves it' with vg/l -- true
serve
expect 1 'no running server serves it' with vg/none -- true

# ---- What it says of itself ----
expect 0 '' with vg/l -- 'nbdinfo --json "$uri" >info.json'
json "d['exports'][0]['export-size'] == 64 << 20 and all(d['exports'][0][k] for k in ('can_flush', 'can_fua',
	'can_multi_conn', 'can_trim', 'can_zero')) and not d['exports'][0]['is_read_only'] and
	'base:allocation' in d['exports'][0]['contexts']" cat info.json
expect 0 '' with vg/l -r -- 'nbdinfo --is read-only "$uri"'
# One connection after the other, each as soon as the last has gone.
expect 0 '' with vg/l -- 'for _ in $(seq 30); do nbdinfo --size "$uri" >/dev/null || exit 1; done'

# ---- Copies and extents ----
dd if=/dev/urandom of=random bs=1M count=5 status=none
truncate -s 64M random
expect 0 '' with vg/l -- 'nbdcopy --connections=4 random "$uri"'
expect 0 '' "$TENON" copy vg/l whole.img
cmp random whole.img || problem 'nbdcopy has written something else'
with vg/l -- 'nbdinfo --map "$uri"' >map
[ "$(awk '{ print $1, $2, $4 }' map | tr '\n' ' ')" = '0 5242880 data 5242880 61865984 hole,zero ' ] || problem "extents: $(cat map)"
expect 0 'identical' with vg/l -- 'qemu-img compare -f raw -F raw random "$uri"'
expect 0 '' with vg/l -- 'nbdcopy "$uri" back.img'
cmp random back.img || problem 'nbdcopy has read something else'
expect 0 '' with vg/l -- 'qemu-img convert -f raw -O qcow2 "$uri" back.qcow2'
expect 0 'identical' qemu-img compare random back.qcow2

# ---- Requests of any place and length ----
expect 0 '' with vg/l -- 'qemu-io -f raw -c "write -P 1 0 1M" -c "write -P 2 1000 3000" -c "read -P 1 0 1000" \
	-c "read -P 2 1000 3000" -c "read -P 1 4000 1000" -c "write -f -P 3 8191 2" -c "read -P 1 8193 100" \
	-c "write -z 65537 70000" -c "read -P 0 65537 70000" -c "read -P 1 135537 100" -c "write -z -u 1M 4M" \
	-c "read -P 0 1M 4M" -c "discard 8M 4M" -c flush "$uri" >io.out; ! grep -q "failed\|mismatch" io.out' ||
	problem "qemu-io: $(cat io.out)"
if fio --enghelp 2>/dev/null | grep -qw nbd; then
	expect 0 '' with vg/l -- 'fio --name=x --ioengine=nbd --uri="$uri" --rw=randrw --bssplit=512/20:4k/60:64k/20 --size=16M \
		--iodepth=16 --verify=crc32c --verify_fatal=1 --do_verify=1 --fsync=32 >fio.out 2>&1' || problem "fio: $(tail -n 20 fio.out)"
else
	echo 'fio has no engine for NBD here'
fi

# ---- One disk: machines and NBD clients ----
expect 0 '' "$IO" $disk write 32M 64K 9 flush
expect 0 '' with vg/l -- 'nbdcopy "$uri" back.img'
"$TENON" copy --force $disk whole.img
cmp back.img whole.img || problem 'NBD and a machine see two disks'
mkfifo hold
"$IO" $disk hold verify 33M 64K 0 <hold >held 2>&1 &
machine=$!
pids+=($machine)
exec 3>hold
wait_for grep -q holding held
expect 1 'process [0-9]+ .*has it' with vg/l -- 'qemu-io -f raw -c "write 0 512" "$uri"'
expect 0 '' with vg/l -r -- 'qemu-io -r -f raw -c "read 0 512" "$uri"'
expect 0 '' with vg/l shared=true -- 'qemu-io -f raw -c "write -P 5 33M 64K" "$uri"'
exec 3>&-
wait $machine 2>/dev/null

# ---- Limits hold here too, and a volume that grew is seen by the next ----
expect 0 '' "$TENON" lv resize vg/l --size 80M
expect 0 '^83886080$' with vg/l -- 'nbdinfo --size "$uri"'


# ---- A server that is killed ----
nbdkit -f -U nbd.sock -P nbd.pid "$PLUGIN" vg/l 2>nbdkit.err &
nbdkit=$!
pids+=($nbdkit)
wait_for test -s nbd.pid
uri=nbd+unix:///?socket=$work/nbd.sock
expect 0 '' qemu-io -f raw -c 'write -P 6 0 64K' "$uri"
kill -9 $server
wait $server 2>/dev/null
expect 1 '.' timeout 60 qemu-io -f raw -c 'read 0 512' "$uri"
serve
again() { timeout 60 qemu-io -f raw -c 'read -P 6 0 64K' "$uri" >again.out 2>&1 && ! grep -q 'failed' again.out; }
wait_for again
# One that is killed with a client's disk in hand lets go of that.
coproc client { exec qemu-io -f raw "$uri" 2>&1; }
echo 'read 0 512' >&"${client[1]}"
read -r -t 60 line <&"${client[0]}" || problem 'qemu-io has no answer'
kill -9 $nbdkit
wait $nbdkit 2>/dev/null
free() { "$IO" $disk write 0 64K 1 2>/dev/null; }
wait_for free
kill "$client_PID" 2>/dev/null
! grep -qi 'sanitizer\|assert' nbdkit.err || problem "nbdkit said: $(cat nbdkit.err)"

# ---- A mirror that is read-only: its images become alike while it is served, and nobody writes to it ----
truncate -s 64M b.img c.img
export TENON_DEVICES=$work/b.img:$work/c.img
"$TENON" vg create vm b.img c.img && "$TENON" lv create vm/now --size 8M && "$TENON" lv create vm/then --type raid1 --size 8M &&
	"$TENON" lv change vm/now --read-only && "$TENON" lv change vm/then --read-only || problem 'cannot make volumes'
expect 0 'recovery of 8 MiB is done' "$TENON" lv convert vm/now --type raid1
launch serve.out "$TENON" serve vm --socket-dir m || problem "no server: $(cat serve.out)"
in_sync() { "$TENON" lv list vm -o name,synced | grep -q 'then *100'; }
wait_for in_sync
expect 0 '' with vm/then -r -- 'nbdinfo --is read-only "$uri"'
expect 0 'Permission denied|Operation not permitted|[Rr]ead-only' with vm/then -- 'qemu-io -f raw -c "write 0 512" "$uri" 2>&1; true'
expect 0 '' "$TENON" copy vm/then then.img
cmp -n 8388608 then.img /dev/zero || problem 'a read-only volume was written to'

# ---- Stripes, of more chunks than a lease has pieces: nbdkit reads and writes the disks itself ----
truncate -s 320M d.img e.img
export TENON_DEVICES=$work/d.img:$work/e.img
"$TENON" vg create vs d.img e.img && "$TENON" lv create vs/s --size 600M --stripes 2 || problem 'cannot make a striped volume'
launch serve.out "$TENON" serve vs --socket-dir t || problem "no server: $(cat serve.out)"
nbdkit -f -U stripes.sock -P stripes.pid "$PLUGIN" vs/s 2>nbdkit.err &
nbdkit=$!
pids+=($nbdkit)
wait_for test -s stripes.pid
uri=nbd+unix:///?socket=$work/stripes.sock
coproc client { exec qemu-io -f raw "$uri" 2>&1; }
echo 'read 0 512' >&"${client[1]}"
read -r -t 60 line <&"${client[0]}" || problem 'qemu-io has no answer'
leased() { ls -l /proc/$nbdkit/fd | grep -q d.img && ls -l /proc/$nbdkit/fd | grep -q e.img; }
wait_for leased
expect 0 '' nbdcopy random "$uri"
expect 0 'identical|Warning: Image size mismatch' qemu-img compare -f raw -F raw random "$uri"
kill "$client_PID" 2>/dev/null
kill $nbdkit
wait $nbdkit 2>/dev/null
expect 0 '' "$TENON" copy vs/s stripes.img
cmp -n "$(stat -c %s random)" random stripes.img || problem 'nbdkit has written something else to stripes'
! grep -qi 'sanitizer\|assert' nbdkit.err || problem "nbdkit said: $(cat nbdkit.err)"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
echo 'a volume as an NBD export of nbdkit'
