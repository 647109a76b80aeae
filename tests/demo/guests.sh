# SPDX-License-Identifier: BSD-2-Clause
# The guests of the demo: the initramfs that they start from, and their root file systems. Sourced, after
# rig.sh. Everything is made in WORK.
DEMO=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# busybox and links for all its commands, into the folder $1
put_busybox() {
	mkdir -p "$1"
	cp /bin/busybox "$1/"
	/bin/busybox --list | (cd "$1" && python3 -c '
import os, sys
for name in sys.stdin.read().split():
    os.path.lexists(name) or os.symlink("busybox", name)')
}

# make_root NAME ADDRESS PEER SIZE NOISE: one root file system, root-NAME.ext4, with busybox, the modules
# of the network card, an init, and a file of noise, /root/noise.
make_root() {
	local root=$WORK/root-$1 modules link order
	modules=$(rig_modules_dir tcg)
	mkdir -p "$root"/usr/{sbin,lib} "$root"/{dev,proc,sys,tmp,etc,data,root}
	for link in bin sbin lib; do ln -s usr/$link "$root/$link"; done
	put_busybox "$root/usr/bin"
	for order in $(rig_module_order "$modules" virtio_net virtio_pci); do
		mkdir -p "$root/usr/lib/modules/${modules##*/}/${order%/*}"
		rig_put_module "$modules/$order" "$root/usr/lib/modules/${modules##*/}/$(rig_plain_name "$order")" || return 1
	done
	cp "$modules"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/${modules##*/}/"
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$root/usr" "${modules##*/}"
	printf 'NAME=%s\nADDRESS=%s\nPEER=%s\n' "$1" "$2" "$3" >"$root/etc/guest"
	install -m 755 "$DEMO/root_init" "$root/usr/sbin/init"
	head -c "$5" /dev/urandom >"$root/root/noise"
	truncate -s "$4" "$WORK/root-$1.ext4"
	PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L "$1" -E root_owner=0:0 -d "$root" "$WORK/root-$1.ext4"
}

# The initramfs that all guests start from, boot.cpio.
make_initramfs() {
	local stage=$WORK/boot modules file plain
	modules=$(rig_modules_dir tcg)
	mkdir -p "$stage"/{dev,proc,root,modules}
	put_busybox "$stage/usr/bin"
	ln -s usr/bin "$stage/bin"
	for file in $(rig_module_order "$modules" virtio_pci virtio_blk); do
		plain=$(rig_plain_name "${file##*/}")
		rig_put_module "$modules/$file" "$stage/modules/$plain" || return 1
		echo "$plain" >>"$stage/modules/order"
	done
	install -m 755 "$DEMO/boot_init" "$stage/init"
	rig_cpio "$stage" "$WORK/boot.cpio"
}
