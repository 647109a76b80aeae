/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing extents: pure functions from free areas and a wish to places. They know numbers of PVs and
 * extents, no groups.
 */
#ifndef TENON_VOLUME_ALLOCATE_H
#define TENON_VOLUME_ALLOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of free extents. Lists of them are in the order of PVs, then of extents. */
struct allocate_free {
	unsigned pv;
	uint32_t start, count;
};

struct allocate_place {
	unsigned pv;
	uint32_t extent;
};

/* LVM2's policies. */
enum allocate_policy {
	ALLOCATE_NORMAL,     /* stripes on PVs of their own */
	ALLOCATE_CONTIGUOUS, /* in one piece, behind the present end, or nothing */
	ALLOCATE_CLING,      /* each stripe on the PV that it is on, or begins on, or nothing */
	ALLOCATE_ANYWHERE,   /* stripes may share a PV */
};

struct allocate_wish {
	uint32_t extents; /* of the volume; a multiple of `stripes` */
	unsigned stripes;
	enum allocate_policy policy;
	/* When a volume grows: for each stripe the extent after its last one. NULL for a new one. */
	const struct allocate_place *after;
};

/* Pieces in the order of the volume: piece i takes lengths[i] extents of each of the `stripes` places
 * from places[i * stripes] on. */
struct allocate_result {
	size_t count;
	uint32_t *lengths;
	struct allocate_place *places;
};

/*
 * Takes what it uses out of `free` (whose counts may become 0). Growing goes on right behind the
 * present end while there is room. Then, linear: the first area that fits all, else the largest ones
 * first, so that there are few pieces. Striped: the largest area of each of the PVs that have most; anywhere: what
 * these cannot give, the longest pieces of all areas.
 * 0, -ENOSPC (nothing allocated; `free` is then of no use) or -ENOMEM. allocate_result_free() frees.
 */
int allocate_extents(struct allocate_free *free, size_t count, const struct allocate_wish *wish,
		     struct allocate_result *result);
void allocate_result_free(struct allocate_result *result);

#endif
