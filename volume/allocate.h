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

/* What the tags say of PVs that cling together, LVM2's allocation/cling_tag_list. */
struct allocate_tags {
	/* Whether they have a tag of the list in common. */
	bool (*alike)(const struct allocate_tags *tags, unsigned pv, unsigned other);
	/* Of a volume that grows: whether the stripe is on that PV, or on one that is alike. NULL: of a new one. */
	bool (*near)(const struct allocate_tags *tags, unsigned stripe, unsigned pv);
};

struct allocate_wish {
	uint32_t extents; /* of the volume; a multiple of `stripes` */
	unsigned stripes;
	enum allocate_policy policy;
	/* When a volume grows: for each stripe the extent after its last one. NULL for a new one. */
	const struct allocate_place *after;
	const struct allocate_tags *tags; /* or NULL: no tag says anything */
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
 * With `tags` what grows goes on on PVs that are alike before it goes elsewhere, and no further where it clings. Stripes of a new one
 * are on PVs that are not alike, where that can be in one piece; where it clings or is contiguous it must.
 * 0, -ENOSPC (nothing allocated; `free` is then of no use) or -ENOMEM. allocate_result_free() frees.
 */
int allocate_extents(struct allocate_free *free, size_t count, const struct allocate_wish *wish,
		     struct allocate_result *result);
void allocate_result_free(struct allocate_result *result);

#endif
