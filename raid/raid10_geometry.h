/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where RAID10 keeps the copies of a chunk: pure arithmetic, over a geometry that raid_geometry_check() accepts.
 *
 *	near	copies side by side in one row, which goes on in the next:	A A B | B C C
 *	far	the members are cut into so many parts, one below the other; each has all chunks,
 *		moved on by as many members as there are near copies:		A B C | C A B
 *	offset	the same, row by row: each row is followed by its copies
 *
 * With far sets the members are moved on within groups only, so that fewer pairs of members hold the same; the last
 * group has those that are left over.
 *
 * Sources: setup_geo(), __raid10_find_phys(), raid10_find_virt(), calc_sectors() in drivers/md/raid10.c of
 * Linux 6.1, and arrays that it made (tests/guest/raid_levels_test.sh).
 */
#ifndef TENON_RAID_RAID10_GEOMETRY_H
#define TENON_RAID_RAID10_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/geometry.h"

struct raid10_shape {
	uint32_t disks, near, far;
	uint32_t set;                     /* members of a far set but the last */
	bool rows;                        /* layout "offset" */
	uint32_t chunk;                   /* sectors, a power of two */
	uint64_t stride;                  /* member sectors from one far copy to the next */
	uint64_t member_sectors, sectors; /* in use of each member; of the array */
};

struct raid10_shape raid10_shape(const struct raid_geometry *g);

/* Where copy number `copy` of an array sector is: its place, and the member's sector. */
uint64_t raid10_place(const struct raid10_shape *shape, uint64_t sector, unsigned copy,
		      uint32_t *role);

/* The array sector that a member's sector holds, which is beyond the array where it holds none. */
uint64_t raid10_find(const struct raid10_shape *shape, uint32_t role, uint64_t sector);

#endif
