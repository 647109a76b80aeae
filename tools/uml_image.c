/* SPDX-License-Identifier: BSD-2-Clause */
/* The initial RAM disk of a guest of User Mode Linux: busybox, mdadm, this program, and the modules of md; see uml.h. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/image.h"
#include "tools/uml.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/library.h"

#define MODULES "/usr/lib/uml/modules/"

/* Linux 6.8 dropped md's linear. */
static const char *const modules_wanted[] = { "virtio_blk", "md_mod",  "raid0",   "raid1",
					      "raid10",     "raid456", "linear?", NULL };

static const char init[] =
	"#!/bin/busybox sh\n"
	"export PATH=/bin HOME=/ MDADM_NO_UDEV=1\n"
	"/bin/busybox --install -s /bin\n"
	"mount -t devtmpfs dev /dev\n"
	"mount -t proc proc /proc\n"
	"mount -t sysfs sys /sys\n"
	"mount -t tmpfs run /run\n"
	"while read -r module; do insmod /modules/$module; done </modules/order\n"
	"exec /bin/tenon raid test agent /dev/ttyS0\n";

/* The newest there are. */
static int find_modules(struct image_kernel *kernel, struct error *error)
{
	glob_t found = { 0 };

	if (glob(MODULES "*", 0, NULL, &found) == 0) {
		char *newest = found.gl_pathv[0];

		for (size_t i = 1; i < found.gl_pathc; i++)
			if (strverscmp(found.gl_pathv[i], newest) > 0)
				newest = found.gl_pathv[i];
		kernel->modules = strdup(newest);
		kernel->version = strdup(newest + strlen(MODULES));
	}
	globfree(&found);
	if (kernel->modules && kernel->version)
		return 0;
	error_set(error, -ENOENT, MODULES ": there are no modules for User Mode Linux");
	error_advise(error, "install the package user-mode-linux");
	return -ENOENT;
}

static int put_all(FILE *to, const char *folder, const struct image_kernel *kernel,
		   struct error *error)
{
	static const char *const folders[] = { "bin", "dev", "proc", "sys", "run", "modules" };
	CLEANUP_FREE char *busybox = NULL, *self = realpath("/proc/self/exe", NULL);
	const struct image_program programs[] = { { "mdadm", NULL, "mdadm" },
						  { "tenon", self, "tenon", SONAME_aio } };
	size_t length;
	int rc = self ? image_read_busybox(&busybox, &length, error)
		      : error_set(error, -errno, "/proc/self/exe: %s", error_name(errno));

	for (size_t i = 0; !rc && i < sizeof(folders) / sizeof(folders[0]); i++)
		rc = image_cpio_add(to, folders[i], S_IFDIR | 0755, NULL, 0);
	if (!rc)
		rc = image_cpio_add(to, "bin/busybox", S_IFREG | 0755, busybox, length);
	if (!rc)
		rc = image_put_programs(to, folder, programs, 2, error);
	if (!rc)
		rc = image_cpio_add(to, "init", S_IFREG | 0755, init, strlen(init));
	if (!rc)
		rc = image_put_modules(to, folder, kernel, modules_wanted, error);
	return rc ? rc : image_cpio_end(to);
}

int uml_image(const char *folder, struct error *error)
{
	CLEANUP_FREE char *path = image_path(folder, "initrd");
	struct image_kernel kernel = { 0 };
	FILE *to = path ? fopen(path, "we") : NULL;
	int rc = to ? find_modules(&kernel, error) : -errno;

	if (!rc)
		rc = put_all(to, folder, &kernel, error);
	if (to && fclose(to) && !rc)
		rc = -errno;
	image_kernel_free(&kernel);
	if (rc && !error->code)
		error_set(error, rc, "%s: %s", path ? path : "initrd", error_name(rc));
	return rc;
}
