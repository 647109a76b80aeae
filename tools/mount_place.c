/* SPDX-License-Identifier: BSD-2-Clause */
/* What of ours is mounted where, as the kernel has it; see mount.h. */
#include <string.h>

#include "tools/mount.h"
#include "util/mounts.h"

dev_t mount_device(const char *directory)
{
	struct mounts mounts;
	dev_t found = 0;

	if (mounts_read(&mounts))
		return 0;
	for (size_t i = 0; i < mounts.count; i++)
		if (!strcmp(mounts.all[i].type, "fuse.tenon") &&
		    !strcmp(mounts.all[i].path, directory))
			found = mounts.all[i].device;
	mounts_free(&mounts);
	return found;
}

bool mount_is_there(const char *directory)
{
	return mount_device(directory) != 0;
}
