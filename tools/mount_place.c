/* SPDX-License-Identifier: BSD-2-Clause */
/* What of ours is mounted where, as the kernel has it; see mount.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fiber/aside.h"
#include "tools/mount.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/mounts.h"

#define LOOK_NS 1000000000ull

int mount_device(const char *directory, dev_t *device)
{
	struct mounts mounts;
	int rc = mounts_read(&mounts);

	*device = 0;
	if (rc)
		return rc;
	for (size_t i = 0; i < mounts.count; i++)
		if (!strcmp(mounts.all[i].type, "fuse.tenon") &&
		    !strcmp(mounts.all[i].path, directory))
			*device = mounts.all[i].device;
	mounts_free(&mounts);
	return 0;
}

int mount_is_there(const char *directory, struct error *error)
{
	dev_t device;
	int rc = mount_device(directory, &device);

	if (rc)
		return error_set(error, rc, "%s: what is mounted there cannot be seen: %s",
				 directory, error_name(rc));
	return device != 0;
}

static int look(void *arg, unsigned index, void **data, size_t *size)
{
	struct stat status;

	(void)index, (void)data, (void)size;
	return stat(arg, &status) ? -errno : 0;
}

/* Aside: one that is stopped would not answer either, and is none of these. */
bool mount_is_dead(const char *directory)
{
	struct aside_answer answer = { 0 };
	bool dead =
		!aside_run(look, (void *)directory, 1, LOOK_NS, &answer) && answer.rc == -ENOTCONN;

	aside_free(&answer, 1);
	return dead;
}

/* With a slash or a dot behind it, the kernel looks into the folder. */
static void cut_end(char *path)
{
	size_t length = strlen(path);

	while (length > 1 &&
	       (path[length - 1] == '/' || (path[length - 1] == '.' && path[length - 2] == '/')))
		path[--length] = '\0';
}

char *mount_real_directory(const char *word)
{
	CLEANUP_FREE char *copy = strdup(word), *parent = NULL;
	char *real, *slash, *path = NULL;

	if (!copy)
		return NULL;
	cut_end(copy);
	real = realpath(copy, NULL);
	if (real || errno != ENOTCONN)
		return real;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	parent = realpath(slash ? (*copy ? copy : "/") : ".", NULL);
	if (!parent || asprintf(&path, "%s/%s", strcmp(parent, "/") ? parent : "",
				slash ? slash + 1 : copy) < 0)
		path = NULL;
	return path;
}
