#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon copy --resume`, --verify, --checksum. Judges: sha256sum, cmp, qemu-img compare, and nbdkit, which says what was read of it.
set -u
PATH=$PATH:/usr/sbin
. "$(dirname "$0")/lib.sh"
for tool in qemu-img qemu-nbd nbdkit mke2fs; do
	command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
cd "$work" || exit 1
export TENON_DEVICES=$work/p.img TENON_STATE_DIR=$work/state
same() { cmp "$1" "$2" || problem "$1 and $2 differ"; }
sum() { sha256sum "$1" | cut -d' ' -f1; }
truncate -s 96M p.img && truncate -s 40M raw
dd if=/dev/urandom of=raw bs=1M count=28 seek=8 conv=notrunc status=none
printf x | dd of=raw bs=1M seek=8 conv=notrunc status=none # not a zero by chance
cp raw odd && printf end >>odd
$TENON vg create vg p.img && $TENON lv create vg/x --size 48M || exit 1

# --- --checksum: on every way, of any size, and of what fills a larger destination up.
for way in 'odd out' '- out' 'odd vg/x' 'raw disk.qcow2' 'disk.qcow2 out'; do
	rm -f out
	source=${way%% *}
	case $source in odd | -) expected=odd ;; *) expected=raw ;; esac
	[ "$($TENON copy --checksum --yes $way <odd)" = "$(sum $expected)  ${way#* }" ] || problem "the checksum of $way"
done
[ "$($TENON copy --checksum odd - 2>said | sha256sum)" = "$(sum odd)  -" ] || problem 'the checksum of a stream'
grep -qx "$(sum odd)  -" said || problem "the checksum of a stream: $(cat said)"
rm -f out && $TENON copy --checksum odd out >sums && expect 0 'out: OK' sha256sum -c sums

# --- --verify.
rm -f out
expect 0 '' $TENON copy --verify odd out && same odd out
expect 0 '' $TENON copy --verify odd vg/x --force
expect 0 '' $TENON copy --verify raw disk.qcow2 --force
expect 1 'standard output: --verify needs' $TENON copy --verify raw -
expect 1 'standard input: --resume needs' $TENON copy --resume - out
expect 2 'one or the other' $TENON copy --resume --skip-errors raw out
# A disk that forgets what it acknowledged.
nbdkit -f -U lies.sock eval get_size='echo 41943040' pread='dd if=/dev/zero bs=$3 count=1 status=none' pwrite='cat >/dev/null' \
	flush='true' can_write='exit 0' can_flush='exit 0' & pids+=($!)
wait_for listens lies.sock
expect 1 'differs from raw: the first byte that does is 8388608' $TENON copy --verify raw "nbd+unix:///?socket=$work/lies.sock"

# --- --resume. begin TARGET: copies from a slow source until some of it is known to be copied, and then kill -9.
serve() {
	[ -z "${server:-}" ] || { kill "$server" && wait "$server"; }
	rm -f source.sock stats
	nbdkit -f -U source.sock -r --filter=stats --filter=rate file raw statsfile=stats "$@" 2>/dev/null & server=$!
	pids+=("$server")
	wait_for listens source.sock
}
source="nbd+unix:///?socket=$work/source.sock"
done_of() { grep -sqE '"done": [1-9]' "$1"; }
begin() {
	serve rate=32M
	$TENON copy --resume --yes "$source" "$1" 2>/dev/null & pid=$!
	wait_for done_of "$2"
	kill -"${3:-KILL}" $pid
	wait $pid
}
for target in out vg/x disk2.qcow2; do
	checkpoint=$target.resume
	[ $target != vg/x ] || checkpoint='state/copy-to-vg\x2fx.resume'
	rm -f out
	begin $target "$checkpoint"
	[ -e "$checkpoint" ] || problem "$target: no checkpoint is left"
	copied=$(sed -n 's/.*"done": //p' "$checkpoint")
	serve
	expect 0 "$(sum raw)  $target" $TENON copy --resume --verify --checksum "$source" $target
	[ ! -e "$checkpoint" ] || problem "$target: the checkpoint is left at the end"
	case $target in
	*.qcow2) expect 0 identical qemu-img compare -f raw -F qcow2 raw $target ;;
	out) same raw out ;;
	*) cmp -n 41943040 raw <($TENON copy $target - 2>/dev/null) || problem "$target differs" ;;
	esac
	# Without a checksum, what was copied is not read again.
	rm -f out disk2.qcow2 && begin $target "$checkpoint" TERM
	copied=$(sed -n 's/.*"done": //p' "$checkpoint")
	serve
	expect 0 '' $TENON copy --resume "$source" $target
	kill "$server" && wait "$server"
	server=
	# Besides it reads samples of what was copied, 1 MiB in all; and figures are rounded.
	awk -v most=$((41943040 - ${copied:-0} + 1310720)) '/^read:/ {
			read = $6 * ($7 == "GiB," ? 2 ^ 30 : $7 == "MiB," ? 2 ^ 20 : $7 == "KiB," ? 1024 : 1)
		} END { exit read > most }' stats ||
		problem "$target: ${copied:-no} bytes were copied, and then read: $(head -n 3 stats)"
done

# --- What is stale is refused, and nothing changes: another source, a source that was written to, another target, a format.
stop_begun() {
	rm -f out out.resume
	for _ in $(seq 50); do
		$TENON copy --resume "$1" out & pid=$!
		until [ -e out.resume ] || ! kill -0 $pid 2>/dev/null; do :; done
		kill -KILL $pid
		wait $pid
		[ ! -e out.resume ] || return 0
	done
	problem 'it was always faster'
}
head -c 64M /dev/zero | tr '\0' y >large
stop_begun large
cp out before
cp -p large large2
expect 1 'out.resume: is of another copy: large2: is not the one' $TENON copy --resume large2 out
touch large
expect 1 'large: was changed since' $TENON copy --resume large out
mv out away && cp away out
stop_begun large
mv out away && cp away out
expect 1 'out: is not the one' $TENON copy --resume large out
rm out
expect 1 'out: is not there any more' $TENON copy --resume large out
mv away out
expect 1 'another format' $TENON copy --resume large out --output-format qcow2
echo '{"tenon-copy": 1, "done": -5}' >out.resume
expect 1 'is no checkpoint' $TENON copy --resume large out
head -c 100000 /dev/urandom >out.resume
expect 1 'is no checkpoint' $TENON copy --resume large out
rm out.resume
echo "somebody's" >out.resume.new
expect 0 '' $TENON copy --resume large out && same large out
[ "$(cat out.resume.new)" = "somebody's" ] || problem 'a checkpoint took the place of another file'
[ ! -e out.resume ] || problem 'a checkpoint is left'

# --- A volume has no time of change: all that was copied is compared, and what was written between the samples is found.
truncate -s 128M q.img
export TENON_DEVICES=$work/p.img:$work/q.img
$TENON vg create vq q.img && $TENON lv create vq/y --size 64M && $TENON copy large vq/y || problem 'no volume to copy'
stop_begun_past() {
	for _ in $(seq 50); do
		rm -f out out.resume
		$TENON copy --resume vq/y out & pid=$!
		until done_of out.resume || ! kill -0 $pid 2>/dev/null; do :; done
		kill -KILL $pid
		wait $pid
		! done_of out.resume || return 0
	done
	problem 'it was always faster'
}
mkdir s && launch serve.out $TENON serve vq --socket-dir s --limit vq/y=bandwidth=16M || problem "no server: $(cat serve.out)"
stop_begun_past
cp out before
# The second byte of the second MiB: no sample.
$TENON lv limit vq/y --none >/dev/null
head -c 64M large >changed && printf n | dd of=changed bs=1 seek=1048577 conv=notrunc status=none
expect 0 '' $TENON copy changed vq/y --force
expect 1 'vq/y and out differ at byte 1048577, which was copied' $TENON copy --resume vq/y out
same before out
rm out.resume out
expect 0 '' $TENON copy --resume vq/y out && same changed out
kill "$launched" && wait "$launched"
expect 0 '' $TENON copy --resume --force large out && same large out
export TENON_DEVICES=$work/p.img

# --- An image is not emptied where nobody can make one.
cp disk.qcow2 before
# shellcheck disable=SC2016
if unshare -rm true 2>/dev/null; then
	touch nothing
	expect 1 'qemu-img: there is no such program' unshare -rm sh -c '
		for file in /usr/bin/qemu-img /usr/local/bin/qemu-img /bin/qemu-img; do
			[ ! -e $file ] || mount --bind nothing $file
		done
		exec "$1" copy --force raw disk.qcow2' sh "$TENON"
	same before disk.qcow2
fi

# --- The name of the target is that of another disk by now: nothing on it changes.
target="nbd+unix:///?socket=$work/target.sock"
server_of() {
	rm -f target.sock
	qemu-nbd -f raw -t -k "$work/target.sock" "$1" & other=$!
	pids+=("$other")
	wait_for listens target.sock
}
truncate -s 40M first && truncate -s 40M second && mke2fs -q -F second && cp second before
server_of first
checkpoint=state/copy-to-${target//\//\\x2f}.resume
begin "$target" "$checkpoint"
kill $other && wait $other
serve && server_of second
expect 1 'target.sock: does not hold what was copied' $TENON copy --resume "$source" "$target"
sed -i 's/"done": .*/"done": 0/' "$checkpoint"
expect 1 'target.sock: holds ext' $TENON copy --resume "$source" "$target"
kill $other && wait $other
same second before

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'all as expected'
