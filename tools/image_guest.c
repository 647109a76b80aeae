/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest that `tenon image build busybox` makes: an initial RAM disk that loads what a virtual machine's disks and
 * cards need and hands over to the root file system, whose only program is busybox.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/image.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define BUSYBOX "/bin/busybox"

static const char initrd_init[] =
	"#!/bin/busybox sh\n"
	"# Loads what the machine's devices need, and hands over to the root file system: "
	"root=DEVICE, else /dev/vda.\n"
	"bb=/bin/busybox\n"
	"$bb mount -t devtmpfs dev /dev\n"
	"$bb mount -t proc proc /proc\n"
	"while read -r module; do $bb insmod /modules/$module || echo \"init: $module did not "
	"load\"; "
	"done </modules/order\n"
	"root=/dev/vda\n"
	"for word in $($bb cat /proc/cmdline); do\n"
	"	case $word in root=*) root=${word#root=} ;; esac\n"
	"done\n"
	"tries=0\n"
	"until [ -b $root ] || [ $tries = 50 ]; do tries=$((tries + 1)); $bb sleep 0.2; done\n"
	"if $bb mount -t ext4 $root /root; then\n"
	"	$bb umount /proc\n"
	"	$bb mount --move /dev /root/dev\n"
	"	exec $bb switch_root /root /sbin/init\n"
	"fi\n"
	"echo \"init: there is no root file system on $root; 'busybox poweroff -f' ends the "
	"machine\"\n"
	"exec $bb sh\n";

static const char root_rc[] =
	"#!/bin/sh\n"
	"# What busybox's init does first (/etc/inittab).\n"
	"export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
	"/bin/busybox mount -t proc proc /proc\n"
	"[ -e /bin/ls ] || /bin/busybox --install -s\n"
	"mount -t sysfs sys /sys\n"
	"mount -t tmpfs tmp /tmp\n"
	"mkdir -p /dev/pts /dev/shm\n"
	"mount -t devpts pts /dev/pts\n"
	"hostname guest\n"
	"ip link set lo up\n"
	"for card in /sys/class/net/e*; do [ ! -e $card ] || ip link set ${card##*/} up; done\n"
	"# address=10.0.0.1/24 among the kernel's parameters is for the first card.\n"
	"for word in $(cat /proc/cmdline); do\n"
	"	case $word in address=*) ip address add ${word#address=} dev eth0 ;; esac\n"
	"done\n"
	"# The power button.\n"
	"acpid\n";

/* A folder has no text; a link's is its target. */
static const struct guest_file {
	const char *name;
	mode_t mode;
	const char *text;
} root_files[] = {
	{ "bin", S_IFDIR | 0755, NULL },
	{ "boot", S_IFDIR | 0755, NULL },
	{ "sbin", S_IFDIR | 0755, NULL },
	{ "usr", S_IFDIR | 0755, NULL },
	{ "usr/bin", S_IFDIR | 0755, NULL },
	{ "usr/sbin", S_IFDIR | 0755, NULL },
	{ "dev", S_IFDIR | 0755, NULL },
	{ "proc", S_IFDIR | 0755, NULL },
	{ "sys", S_IFDIR | 0755, NULL },
	{ "tmp", S_IFDIR | 01777, NULL },
	{ "mnt", S_IFDIR | 0755, NULL },
	{ "root", S_IFDIR | 0700, NULL },
	{ "var", S_IFDIR | 0755, NULL },
	{ "var/log", S_IFDIR | 0755, NULL },
	{ "var/run", S_IFDIR | 0755, NULL },
	{ "etc", S_IFDIR | 0755, NULL },
	{ "etc/acpi", S_IFDIR | 0755, NULL },
	{ "etc/acpi/PWRF", S_IFDIR | 0755, NULL },
	{ "bin/sh", S_IFLNK | 0777, "busybox" },
	{ "sbin/init", S_IFLNK | 0777, "../bin/busybox" },
	{ "etc/acpi/PWRF/00000080", S_IFREG | 0755, "#!/bin/sh\nexec poweroff\n" },
	{ "etc/rc", S_IFREG | 0755, root_rc },
	{ "etc/passwd", S_IFREG | 0644, "root:x:0:0:root:/root:/bin/sh\n" },
	{ "etc/group", S_IFREG | 0644, "root:x:0:\n" },
	{ "etc/profile", S_IFREG | 0644,
	  "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
	  "cat /etc/motd\n" },
	{ "etc/motd", S_IFREG | 0644,
	  "\nA guest of tenon's: busybox on ext4. `poweroff` ends the machine.\n" },
	{ "etc/inittab", S_IFREG | 0644,
	  "::sysinit:/etc/rc\n"
	  "ttyS0::respawn:-/bin/sh\n"
	  "::shutdown:/bin/umount -a -r\n"
	  "::ctrlaltdel:/sbin/reboot\n" },
};

#define ROOT_FILES (sizeof(root_files) / sizeof(root_files[0]))

int image_read_busybox(char **data, size_t *length, struct error *error)
{
	int rc = image_file_read(BUSYBOX, data, length, error);

	if (rc == -ENOENT)
		error_advise(error, "install the package busybox-static");
	/* PT_INTERP: the guest has no libraries. Its text is the loader's path. */
	else if (!rc && memmem(*data, *length < 4096 ? *length : 4096, "/ld-linux", 9)) {
		rc = error_set(error, -EINVAL,
			       BUSYBOX ": needs libraries, expected one that is linked statically");
		error_advise(error, "install the package busybox-static in place of busybox");
	}
	return rc;
}

/* ---- The root file system ---- */

static int put_root_file(const char *tree, const struct guest_file *file, struct error *error)
{
	CLEANUP_FREE char *path = image_path(tree, file->name);
	int rc = 0;

	if (!path)
		return -ENOMEM;
	if (S_ISREG(file->mode))
		return image_file_write(path, file->mode & 07777, file->text, strlen(file->text),
					error);
	if (S_ISLNK(file->mode) ? symlink(file->text, path)
				: mkdir(path, 0700) || chmod(path, file->mode & 07777))
		rc = error_set(error, -errno, "%s: %s", path, error_name(errno));
	return rc;
}

static const char *const boot_files[] = { "boot/vmlinuz-", "boot/initrd.img-" };

static int copy_file(const char *from, const char *tree, const char *name, const char *version,
		     struct error *error)
{
	CLEANUP_FREE char *data = NULL, *to = NULL;
	size_t length;
	int rc = image_file_read(from, &data, &length, error);

	if (rc)
		return rc;
	if (asprintf(&to, "%s/%s%s", tree, name, version) < 0)
		return to = NULL, -ENOMEM;
	return image_file_write(to, 0644, data, length, error);
}

/* So that the disk says by itself how it is booted, where there is room for that without its being full. */
static int put_boot(const char *temporary, const char *tree, const struct image_kernel *kernel,
		    uint64_t size, bool *put, struct error *error)
{
	CLEANUP_FREE char *initrd = image_path(temporary, "initrd");
	struct stat of[2];
	int rc;

	*put = false;
	if (!initrd)
		return -ENOMEM;
	if (stat(kernel->path, &of[0]) || stat(initrd, &of[1]))
		return error_set(error, -errno, "%s: %s", kernel->path, error_name(errno));
	if (((uint64_t)of[0].st_size + (uint64_t)of[1].st_size) * 2 > size)
		return 0;
	rc = copy_file(kernel->path, tree, boot_files[0], kernel->version, error);
	if (!rc)
		rc = copy_file(initrd, tree, boot_files[1], kernel->version, error);
	*put = !rc;
	return rc;
}

/* mke2fs copies the owners too, and the guest's are not this host's. */
static int own_by_root(const char *temporary, const char *image, const char *version,
		       struct error *error)
{
	CLEANUP_FREE char *path = image_path(temporary, "owners"), *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	int rc;

	if (!path || !to)
		return to ? (fclose(to), -ENOMEM) : -ENOMEM;
	for (size_t i = 0; i < ROOT_FILES; i++)
		fprintf(to, "sif /%s uid 0\nsif /%s gid 0\n", root_files[i].name,
			root_files[i].name);
	fprintf(to, "sif /bin/busybox uid 0\nsif /bin/busybox gid 0\n");
	for (size_t i = 0; version && i < ARRAY_SIZE(boot_files); i++)
		fprintf(to, "sif /%s%s uid 0\nsif /%s%s gid 0\n", boot_files[i], version,
			boot_files[i], version);
	if (fclose(to))
		return -ENOMEM;
	rc = image_file_write(path, 0600, text, length, error);
	return rc ? rc
		  : image_run(temporary, "e2fsprogs",
			      (const char *const[]){ "debugfs", "-w", "-f", path, image, NULL },
			      error);
}

int image_guest_root(const char *temporary, const struct image_kernel *kernel, uint64_t size,
		     bool *bootable, struct error *error)
{
	CLEANUP_FREE char *tree = image_path(temporary, "tree"), *busybox = NULL, *to = NULL;
	CLEANUP_FREE char *image = image_path(temporary, "root.ext4");
	CLEANUP_CLOSE int fd = -1;
	size_t length;
	int rc = image_read_busybox(&busybox, &length, error);

	if (rc)
		return rc;
	if (!tree || !image || asprintf(&to, "%s/bin/busybox", tree) < 0)
		return -ENOMEM;
	if (mkdir(tree, 0755))
		return error_set(error, -errno, "%s: %s", tree, error_name(errno));
	for (size_t i = 0; !rc && i < ROOT_FILES; i++)
		rc = put_root_file(tree, &root_files[i], error);
	if (!rc)
		rc = image_file_write(to, 0755, busybox, length, error);
	if (!rc)
		rc = put_boot(temporary, tree, kernel, size, bootable, error);
	if (rc)
		return rc;
	fd = open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		return error_set(error, -errno, "%s: %s", image, error_name(errno));
	rc = image_run(temporary, "e2fsprogs",
		       (const char *const[]){ "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root",
					      "-E", "root_owner=0:0", "-d", tree, image, NULL },
		       error);
	return rc ? rc : own_by_root(temporary, image, *bootable ? kernel->version : NULL, error);
}

/* ---- The initial RAM disk ---- */

/* "?": kernels may have it built in under another name, or not at all. */
static const char *const modules_wanted[] = { "virtio_pci",      "virtio_blk",    "ext4",
					      "crc32c_generic?", "virtio_net",    "button?",
					      "evdev?",          "pvpanic_mmio?", NULL };

/* busybox's insmod unpacks gzip and xz; what it does not is unpacked here. */
static int unpack_module(const char *temporary, char **path, struct error *error)
{
	size_t length = strlen(*path);
	char *plain;
	int rc;

	if (length < 4 || strcmp(*path + length - 4, ".zst"))
		return 0;
	plain = image_path(temporary, "module.ko");
	if (!plain)
		return -ENOMEM;
	rc = image_run(temporary, "zstd",
		       (const char *const[]){ "zstd", "-q", "-d", "-f", *path, "-o", plain, NULL },
		       error);
	free(*path);
	*path = plain;
	return rc;
}

static int put_module(FILE *to, const char *temporary, const char *folder, const char *file,
		      FILE *order, struct error *error)
{
	CLEANUP_FREE char *path = image_path(folder, file), *data = NULL, *name = NULL;
	const char *last = strrchr(file, '/');
	size_t length;
	int rc = path ? unpack_module(temporary, &path, error) : -ENOMEM;

	last = last ? last + 1 : file;
	if (!rc)
		rc = image_file_read(path, &data, &length, error);
	if (rc)
		return rc;
	if (asprintf(&name, "modules/%.*s",
		     (int)(strstr(last, ".zst") ? strlen(last) - 4 : strlen(last)), last) < 0)
		return -ENOMEM;
	fprintf(order, "%s\n", name + strlen("modules/"));
	return image_cpio_add(to, name, S_IFREG | 0644, data, length);
}

int image_put_modules(FILE *to, const char *temporary, const struct image_kernel *kernel,
		      const char *const *wanted, struct error *error)
{
	CLEANUP_FREE char *text = NULL;
	size_t length = 0;
	char **files = NULL;
	FILE *order;
	int rc = image_kernel_modules(kernel, wanted, &files, error);

	if (rc)
		return rc;
	order = open_memstream(&text, &length);
	if (!order)
		rc = -ENOMEM;
	for (char **file = files; !rc && *file; file++)
		rc = put_module(to, temporary, kernel->modules, *file, order, error);
	image_list_free(files);
	if (order && fclose(order) && !rc)
		rc = -ENOMEM;
	return rc ? rc : image_cpio_add(to, "modules/order", S_IFREG | 0644, text, length);
}

int image_guest_initrd(const char *temporary, const struct image_kernel *kernel,
		       struct error *error)
{
	static const char *const folders[] = { "bin", "dev", "proc", "root", "modules" };
	CLEANUP_FREE char *path = image_path(temporary, "initrd"), *busybox = NULL;
	size_t length;
	FILE *to = path ? fopen(path, "we") : NULL;
	int rc = to ? image_read_busybox(&busybox, &length, error) : -errno;

	for (size_t i = 0; !rc && i < sizeof(folders) / sizeof(folders[0]); i++)
		rc = image_cpio_add(to, folders[i], S_IFDIR | 0755, NULL, 0);
	if (!rc)
		rc = image_cpio_add(to, "bin/busybox", S_IFREG | 0755, busybox, length);
	if (!rc)
		rc = image_cpio_add(to, "init", S_IFREG | 0755, initrd_init, strlen(initrd_init));
	if (!rc)
		rc = image_put_modules(to, temporary, kernel, modules_wanted, error);
	if (!rc)
		rc = image_cpio_end(to);
	if (to && fclose(to) && !rc)
		rc = -errno;
	if (rc && !error->code)
		error_set(error, rc, "%s: %s", path ? path : "initrd", error_name(rc));
	return rc;
}
