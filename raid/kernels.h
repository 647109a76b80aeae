/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which versions of Linux assemble an array, and why others do not. Versions are those of kernel.org; distributions bring
 * changes to older ones.
 */
#ifndef TENON_RAID_KERNELS_H
#define TENON_RAID_KERNELS_H

#include <stdbool.h>

struct block;
struct error;

#define RAID_KERNEL(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))
#define RAID_KERNEL_FIRST                RAID_KERNEL(2, 6, 16) /* older ones were not looked at */
#define RAID_KERNEL_TEXT                 16

struct raid_kernel_range {
	unsigned from, before; /* before 0: to the newest */
};

/* Something that not all versions take. */
struct raid_kernel_limit {
	struct raid_kernel_range ranges[2];
	unsigned count;   /* of ranges; 0: none takes it */
	bool if_it_is_so; /* the devices given do not tell: it narrows nothing */
	char reason[240];
};

#define RAID_KERNEL_LIMITS 24

struct raid_kernels {
	struct raid_kernel_range ranges[RAID_KERNEL_LIMITS]; /* what all limits leave */
	unsigned count;
	struct raid_kernel_limit limits[RAID_KERNEL_LIMITS];
	unsigned limit_count;
};

/* Of the superblock on blocks[which]; the others tell what one alone cannot, as far as they are members of the same array.
 * 0 also where it is damaged, which is a limit then; -ENOENT without one; or the error of a read. Suspends. */
int raid_kernels_find(struct raid_kernels *kernels, struct block *const *blocks, unsigned count,
		      unsigned which, struct error *error);

/* "5.4", "2.6.16". Returns `text`. */
const char *raid_kernel_format(unsigned version, char text[RAID_KERNEL_TEXT]);

#endif
