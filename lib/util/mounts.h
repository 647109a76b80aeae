/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mounted where, as /proc tells it: so that nobody has to ask a file system that may not answer. */
#ifndef TENON_UTIL_MOUNTS_H
#define TENON_UTIL_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mounts {
	struct mount_point {
		char *path;
		dev_t device; /* of the mount; stat(2) may say another of its files, but not of FUSE */
		char type[32]; /* of file system: "ext4", "fuse.tenon" */
		uint64_t id;   /* of the mount, as statx(2) says it */
	} * all;
	size_t count;
};

/* 0, or a negative errno, with none. */
int mounts_read(struct mounts *mounts);
void mounts_free(struct mounts *mounts); /* a zeroed one is fine */

/* The one in which a real path lies, by its name alone; NULL: it is not known. */
const struct mount_point *mounts_of(const struct mounts *mounts, const char *path);

#endif
