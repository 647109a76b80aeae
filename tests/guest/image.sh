# SPDX-License-Identifier: BSD-2-Clause
# Initramfs images for guests. Sourced by rig.sh, which documents the options.
#
# An image is two cpio archives, one behind the other. The base (busybox, programs with their
# libraries, kernel modules) is kept under build/guest, named by a hash of everything in it; the
# second is made for each boot (configuration, script, the tenon binary, extra files) and is small.
# Nothing here needs root: cpio is told who owns the files, and devices come from devtmpfs.

# What comes along when a group is asked for by --with: programs and modules that are installed for
# on-demand loading, and modules that are loaded at once.
declare -A RIG_GROUP_PROGRAMS=(
	[mdadm]="mdadm"
	[lvm2]="lvm dmsetup"
	[e2fsprogs]="mke2fs e2fsck dumpe2fs debugfs tune2fs resize2fs"
	[thin]="pdata_tools thin_check thin_dump"
)
declare -A RIG_GROUP_INSTALLS=(
	[mdadm]="md_mod linear? raid0 raid1 raid10 raid456"
	[lvm2]="dm_mod dm_snapshot dm_mirror dm_raid dm_zero raid0 raid1 raid10 raid456"
	[thin]="dm_thin_pool dm_cache dm_cache_smq"
)
declare -A RIG_GROUP_LOADS=([mdadm]="md_mod" [lvm2]="dm_mod")

# The folder of the kernel modules of a rig, of the newest kernel if there are several.
rig_modules_dir() {
	local dir
	case $1 in
	uml) set -- /usr/lib/uml/modules/* ;;
	*)
		set -- /lib/modules/*-cloud-amd64
		[ -d "$1" ] || set -- /lib/modules/*-generic # Ubuntu
		;;
	esac
	dir=$(printf '%s\n' "$@" | sort -V | tail -n 1)
	[ -f "$dir/modules.dep" ] && echo "$dir"
}

# The kernel that a rig boots.
rig_kernel() {
	case $1 in
	uml) command -v linux.uml ;;
	*) local dir; dir=$(rig_modules_dir "$1") && echo "/boot/vmlinuz-${dir##*/}" ;;
	esac
}

# rig_module_order MODULES_DIR NAME...: the files of the modules with all they depend on, below
# MODULES_DIR, in an order in which they can be loaded. What is built into the kernel is left out, and so is
# a "NAME?" that this kernel lacks (Linux 6.8 dropped md's linear).
rig_module_order() {
	local dir=$1; shift
	awk -v wanted="$*" '
	function name(path) { sub(/.*\//, "", path); sub(/\.ko.*$/, "", path); gsub(/-/, "_", path); return path }
	FILENAME ~ /modules.builtin$/ { builtin[name($1)] = 1; next }
	{ file = $1; sub(/:$/, "", file); n = name(file); path[n] = file; $1 = ""; needs[n] = $0 }
	END {
		count = split(wanted, want)
		for (i = 1; i <= count; i++) {
			n = want[i]; gsub(/-/, "_", n)
			optional = sub(/\?$/, "", n)
			if (n in builtin || (optional && !(n in path))) continue
			if (!(n in path)) { print "rig: this kernel has no module " n > "/dev/stderr"; exit 1 }
			deps = split(needs[n], dep)
			for (j = deps; j >= 1; j--) if (!seen[dep[j]]++) print dep[j]
			if (!seen[path[n]]++) print path[n]
		}
	}' "$dir/modules.builtin" "$dir/modules.dep"
}

# rig_plain_name FILE: what a module is called once it is unpacked.
rig_plain_name() {
	case $1 in *.ko.zst | *.ko.xz | *.ko.gz) echo "${1%.*}" ;; *) echo "$1" ;; esac
}

# rig_put_module FILE TO: unpacks a module that is compressed, as Ubuntu's are (zstd) and Fedora's (xz): the insmod of a
# guest does not know all of these.
rig_put_module() {
	local from=$1 unpack
	case $from in
	*.zst) unpack=zstd ;;
	*.xz) unpack=xz ;;
	*.gz) unpack=gzip ;;
	*) cp "$from" "$2"; return ;;
	esac
	command -v $unpack >/dev/null || { echo "rig: $unpack is not installed, and ${from##*/} is packed with it" >&2; return 1; }
	$unpack -dc "$from" >"$2"
}

# rig_files_of PROGRAM...: the absolute paths of the programs and the libraries that they load.
rig_files_of() {
	local program path
	for program in "$@"; do
		path=$(PATH=$PATH:/usr/sbin:/sbin command -v "$program") || {
			echo "rig: there is no program $program on this machine" >&2
			return 1
		}
		rig_loads "$path" | while read -r path; do
			echo "$path"
			ldd "$path" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'
		done
	done | sort -u
}

# rig_loads PROGRAM: it, and what it loads by itself (its notes tell: lib/util/library.h).
rig_loads() {
	echo "$1"
	readelf -p .note.dlopen "$1" 2>/dev/null | grep recommended | grep -o 'lib[a-z0-9_-]*\.so\.[^"]*' | while read -r name; do
		PATH=$PATH:/usr/sbin:/sbin ldconfig -p | awk -v name="$name" '$1 == name { print $NF; exit }'
	done
}

# rig_put STAGE FILE...: copies files of the host to the same place below STAGE, where /bin, /lib and
# so on are links into /usr, as in Debian.
rig_put() {
	local stage=$1 file dest; shift
	for file in "$@"; do
		case $file in
		/bin/* | /sbin/* | /lib/* | /lib64/*) dest=$stage/usr$file ;;
		*) dest=$stage$file ;;
		esac
		mkdir -p "${dest%/*}"
		cp -L --remove-destination "$file" "$dest"
	done
}

# rig_cpio STAGE OUT: packs everything below STAGE.
rig_cpio() {
	(cd "$1" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
		cpio --quiet -o -H newc -R 0:0 --reproducible) >"$2"
}

# rig_base_image MODULES_DIR "PROGRAMS" "MODULES": prints the path of the cached base archive.
rig_base_image() {
	local modules=$1 programs=$2 install=$3 files order key image stage file link
	files=$(rig_files_of $programs) || return 1
	order=$(rig_module_order "$modules" $install) || return 1
	key=$( (echo "$modules"; md5sum "$RIG_DIR/init" "$RIG_DIR/image.sh" "$RIG_DIR/lvm.conf" \
		/bin/busybox $files; cd "$modules" && md5sum modules.dep $order) | md5sum | cut -c 1-20)
	mkdir -p "$RIG_CACHE"
	image=$RIG_CACHE/base-$key.cpio
	if [ -f "$image" ]; then touch "$image"; echo "$image"; return; fi

	stage=$(mktemp -d "$WORK/stage.XXXXXX")
	mkdir -p "$stage"/usr/{bin,sbin,lib,lib64} "$stage"/{dev,proc,sys,run,tmp,etc/lvm,rig,root}
	for link in bin sbin lib lib64; do ln -s usr/$link "$stage/$link"; done
	rig_put "$stage" /bin/busybox $files
	# Programs come before busybox's commands of the same name.
	for link in $(/bin/busybox --list); do
		[ -e "$stage/usr/bin/$link" ] || [ -e "$stage/usr/sbin/$link" ] ||
			ln -s busybox "$stage/usr/bin/$link"
	done
	ln -s ../bin/busybox "$stage/usr/sbin/modprobe" # where the kernel looks for it
	if [ -f "$stage/usr/sbin/lvm" ]; then
		for link in $(find /sbin/ -lname lvm -printf '%f '); do ln -s lvm "$stage/usr/sbin/$link"; done
	fi
	cp "$RIG_DIR/lvm.conf" "$stage/etc/lvm/lvm.conf"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$stage/etc/passwd"
	echo 'root:x:0:' >"$stage/etc/group"
	install -m 755 "$RIG_DIR/init" "$stage/init"
	local into=$stage/usr/lib/modules/${modules##*/}
	mkdir -p "$into"
	cp "$modules"/modules.{builtin,builtin.modinfo,order,softdep} "$into/"
	for file in $order; do
		mkdir -p "$into/${file%/*}"
		rig_put_module "$modules/$file" "$into/$(rig_plain_name "$file")" || return 1
	done
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$stage/usr" "${modules##*/}"
	rig_cpio "$stage" "$image.$$" && mv "$image.$$" "$image"
	rm -rf "$stage"
	# Old ones go, except those that a boot of another test may just be about to read.
	ls -t "$RIG_CACHE"/base-*.cpio | tail -n +9 | while read -r file; do
		find "$file" -mmin +60 -delete
	done
	echo "$image"
}

# rig_make_initrd RIG OUT SCRIPT CONF: uses the caller's arrays with, modules and files (see rig.sh).
rig_make_initrd() {
	local rig=$1 out=$2 script=$3 conf=$4 dir programs="" installs="" loads="" item stage base file dest
	dir=$(rig_modules_dir "$rig")
	case $rig in
	tcg | kvm) loads="virtio_pci virtio_blk virtio_net" ;;
	svm) loads="virtio_pci virtio_blk virtio_net kvm_amd" ;;
	esac
	local tenon=
	for item in ${with[@]+"${with[@]}"}; do
		if [ "$item" = tenon ]; then tenon=$TENON; continue; fi
		programs+=" ${RIG_GROUP_PROGRAMS[$item]-$item}"
		installs+=" ${RIG_GROUP_INSTALLS[$item]-}"
		loads+=" ${RIG_GROUP_LOADS[$item]-}"
	done
	loads+=" ${modules[*]-}"
	local lacks
	lacks=$(rig_module_order "$dir" $loads $installs 2>&1 >/dev/null)
	[ -z "$lacks" ] || rig_skip "rig $rig: the kernel of ${dir##*/} has no module ${lacks##* }, which this test needs"
	base=$(rig_base_image "$dir" "$programs" "$loads $installs") || return 1

	stage=$(mktemp -d "$WORK/stage.XXXXXX")
	mkdir -p "$stage/rig"
	install -m 755 "$script" "$stage/rig/script"
	echo "$conf" >"$stage/rig/conf"
	for file in $(rig_module_order "$dir" $loads); do rig_plain_name "$file"; done >"$stage/rig/modules"
	if [ -n "$tenon" ]; then
		rig_put "$stage" $(rig_files_of "$tenon" | grep -vxF "$tenon") || return 1
		mkdir -p "$stage/usr/bin"
		cp "$tenon" "$stage/usr/bin/tenon"
	fi
	for item in ${files[@]+"${files[@]}"}; do
		file=${item%%:*} dest=${item#*:}
		[ "$dest" = "$item" ] && dest=/root/${file##*/}
		case $file in /*) ;; *) file=$WORK/$file ;; esac
		case $dest in /bin/* | /sbin/* | /lib/* | /lib64/*) dest=/usr$dest ;; esac
		mkdir -p "$stage${dest%/*}"
		cp -RL "$file" "$stage$dest" || return 1
	done
	rig_cpio "$stage" "$out.boot" && cat "$base" "$out.boot" >"$out" && rm -rf "$stage" "$out.boot"
}
