#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# `tenon image build debian`, with Debian: from the mirror of this host, onto a disk that `image import` makes larger on a volume. That boots by
# UEFI under QEMU, served over vhost-user-blk, to a login; its root has grown, and its cloud-init has done what the seed beside it says. With TORTURE=1 by
# its kernel directly as well.
set -u
PATH=$PATH:/usr/sbin
for program in mmdebstrap fakeroot mke2fs resize2fs mkfs.fat mcopy openssl qemu-system-x86_64 python3 ssh-keygen; do
	command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done
code=/usr/share/OVMF/OVMF_CODE_4M.fd vars=/usr/share/OVMF/OVMF_VARS_4M.fd
[ -r $code ] && [ -r $vars ] || { echo "ovmf is not installed"; exit 77; }
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' 2>/dev/null | sed -n 's/ Debian$//p' | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian/}
timeout 60 python3 -c '
import sys, urllib.request
urllib.request.urlopen(sys.argv[1].rstrip("/") + "/dists/bookworm/InRelease", timeout=30).read(100)' "$mirror" 2>/dev/null ||
	{ echo "the mirror $mirror cannot be reached"; exit 77; }
. "$(dirname "$0")/../interop/lib.sh"
cd "$work" || exit 1
export TENON_DEVICES=$work/pv.img TMPDIR=$work
guest=
cleanup() { [ -z "$guest" ] || kill -9 "$guest" 2>/dev/null; }

# ---- Built once ----
echo secret | openssl passwd -6 -stdin >hash
timeout 1000 "$TENON" image build debian base.img --suite bookworm --size 1400M --packages cloud-init,openssh-server,sudo --password-hash hash >said 2>&1 || {
	cat said
	# A mirror that can be reached and is of no use, or a container without namespaces, is not ours.
	exit 1
}
truncate -s 4G pv.img
$TENON vg create vg0 pv.img || exit 1
ssh-keygen -q -t ed25519 -N '' -C me@here -f key || exit 1
echo of-me | openssl passwd -6 -stdin >hash.me
expect 0 'vg0/web1: partition 2 and its ext4 file system have' timeout 300 $TENON image import base.img vg0/web1 --size 2G \
	--hostname web1 --user me --ssh-key key.pub --password-hash hash.me
rm base.img
json "d['os'].startswith('Debian GNU/Linux 12') and d['kernel'].endswith('cloud-amd64') and d['problem'] is None and d['parts'][1]['cloud_init']" $TENON image show vg0/web1 --json
launch serve.log $TENON serve --socket-dir sockets || problem "the server: $(cat serve.log)"

# ---- Boots ----
await() { # SECONDS PATTERN
	local end=$((SECONDS + $1))
	until grep -aEq -- "$2" console; do
		[ $SECONDS -lt $end ] && kill -0 $guest 2>/dev/null || { problem "the guest did not say $2: $(tail -n 30 console)"; return 1; }
		sleep 0.5
	done
}
# boot ARGUMENT...: to the shell of root.
boot() {
	rm -f keys.in keys.out
	mkfifo keys.in keys.out
	: >console
	cat keys.out >console &
	qemu-system-x86_64 -accel tcg -smp 1,maxcpus=2 -m 512M -nodefaults -no-user-config -no-reboot -display none \
		-machine q35,memory-backend=ram -object memory-backend-memfd,id=ram,size=512M,share=on \
		-chardev pipe,id=console,path=keys -serial chardev:console -device virtio-rng-pci \
		-chardev socket,id=disk,path=sockets/vg0-web1.sock -device vhost-user-blk-pci,chardev=disk,num-queues=1,bootindex=1 \
		-chardev socket,id=seed,path=sockets/vg0-web1-seed.sock -device vhost-user-blk-pci,chardev=seed,num-queues=1 "$@" >qemu.log 2>&1 &
	guest=$!
	exec 7>keys.in
	await 600 'login: ' || return 1
	# What cloud-init writes comes before the prompt on a slow machine, and behind it on a fast one; what is typed meanwhile was lost once.
	await 400 'Cloud-init v.* finished at' || return 1
	for _ in 1 2 3 4 5 6; do
		sleep 1
		tail -n 1 console | grep -aq 'login: *$' && break
		printf '\n' >&7 # for another prompt
	done
	await 60 'login: *$' || return 1
	printf 'root\n' >&7
	await 180 'Password: *$' || return 1
	printf 'secret\n' >&7
	await 180 'root@[a-z0-9]*:~# ' || return 1 # keys of the machine have root@ in them, too
}
off() {
	printf 'poweroff\n' >&7
	for _ in $(seq 600); do kill -0 $guest 2>/dev/null || break; sleep 0.5; done
	kill -0 $guest 2>/dev/null && { problem "the machine does not end: $(tail -n 20 console)"; kill -9 $guest; }
	wait $guest
	guest=
	exec 7>&-
}
look='echo efi-$([ -d /sys/firmware/efi ] && echo yes || echo no); mount -o ro /dev/disk/by-label/CIDATA /mnt && grep -o web1 /mnt/meta-data | sed s/^/seed-/
cloud-init status --wait; echo hostname-$(hostname); getent shadow me; cat ~me/.ssh/authorized_keys; echo sudo-$(su me -c "sudo -n id -u")
df --output=size -k / | tail -n 1 | sed "s/ *//; s/^/root-/"; ls /boot/efi/EFI; systemctl is-system-running --wait; systemctl --failed --no-legend; echo said-$((40 + 2))
'
cp $vars vars.fd
if boot -drive if=pflash,format=raw,readonly=on,file=$code -drive if=pflash,format=raw,file=vars.fd; then
	for _ in 1 2 3; do
		printf '\n%s' "$look" >&7
		timeout 120 sh -c 'until grep -aq said-42 console; do sleep 0.5; done' && break
	done
	if await 10 'said-42'; then
		grep -aq 'efi-yes' console || problem "it did not boot by UEFI: $(tail -n 30 console)"
		grep -aq 'seed-web1' console || problem "its seed: $(tail -n 30 console)"
		[ "$(grep -ao 'root-[0-9]*' console | tail -n 1 | tr -dc 0-9)" -gt 1500000 ] || problem "its root has not grown: $(tail -n 30 console)"
		grep -aq '^status: done' console || problem "cloud-init: $(tail -n 40 console)"
		grep -aq 'DataSourceNoCloud' console || problem "it took no seed: $(tail -n 40 console)"
		grep -aq '^hostname-web1' console || problem "its hostname: $(tail -n 40 console)"
		grep -aqF "me:$(cat hash.me):" console || problem "the password's hash: $(tail -n 40 console)"
		tr -d '\r' <console | grep -aqxF "$(cat key.pub)" || problem "the key: $(tail -n 40 console)"
		grep -aq '^sudo-0' console || problem "me may not sudo: $(tail -n 40 console)"
		grep -aq 'BOOT.*systemd' console || problem "its ESP is not mounted: $(tail -n 30 console)"
		grep -aq '^running' console || problem "units failed: $(tail -n 30 console)"
	fi
	off
fi
if [ -n "${TORTURE-}" ]; then
	expect 0 'Linux 6.1' $TENON image extract vg0/web1 --kernel kernel --initrd initrd
	if boot -kernel kernel -initrd initrd -append 'root=/dev/vda2 console=ttyS0 no_timer_check'; then
		printf '%s' "$look" >&7
		await 300 'said-42'
		grep -aq 'efi-no' console || problem "it booted by UEFI: $(tail -n 30 console)"
		off
	fi
fi

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo 'Debian was built, has grown, and boots'
