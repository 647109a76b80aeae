/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pure arithmetic on md's levels: no I/O, no state. Sectors are of 512 bytes.
 */
#ifndef TENON_RAID_GEOMETRY_H
#define TENON_RAID_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* The shape of an array; a reshape has two. */
struct raid_geometry {
	int level;
	uint32_t layout, chunk_sectors, disks;
	uint64_t member_sectors; /* that each member gives */
};

/* Whether level, layout, chunk and number of places fit together as the kernel's levels want them.
 * Levels that the kernel has but no one assembles here (multipath, faulty) pass. 0 or -EINVAL. */
int raid_geometry_check(int level, uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error);

/* Sectors of the array whose members each give `member_sectors`; 0 for raid0 and linear, whose members
 * differ, and for what raid_geometry_check() refuses. */
uint64_t raid_geometry_array_sectors(int level, uint32_t layout, uint32_t chunk_sectors,
				     uint32_t raid_disks, uint64_t member_sectors);

/* Sectors of each member that a reshape from one to the other moves data by at least, so that none go where others have not been moved. */
uint64_t raid_geometry_reshape_height(const struct raid_geometry *from,
				      const struct raid_geometry *to);

/* Whether losing one member of a full array leaves its data. */
bool raid_geometry_redundant(int level);

/* md's name of a level's layout ("left-symmetric", "near=2"), or NULL where a level has none.
 * `buffer` is for those that are put together. */
const char *raid_geometry_layout_name(int level, uint32_t layout, char buffer[32]);

/* md's layout of such a name: what raid_geometry_layout_name() says, and mdadm's short forms ("ls", "n2", "f2", "o3");
 * NULL: the level's usual one. 0, or -EINVAL with `error` set. */
int raid_geometry_layout_parse(int level, const char *text, uint32_t *layout, struct error *error);

#define RAID10_LAYOUT_OFFSET       0x10000u
#define RAID10_LAYOUT_FAR_SETS_OLD 0x20000u /* as many sets as far copies */
#define RAID10_LAYOUT_FAR_SETS     0x40000u /* sets of as many members as copies */

/* Which member a second zone of RAID0 begins with; only with MD_FEATURE_RAID0_LAYOUT. */
#define RAID0_LAYOUT_ORIGINAL  1u /* kernels before 3.14, and since 5.4 if told so */
#define RAID0_LAYOUT_ALTERNATE 2u

/* RAID10's copies, from its layout: near in the lowest byte, far in the next. */
static inline uint32_t raid10_near_copies(uint32_t layout)
{
	return layout & 0xff;
}

static inline uint32_t raid10_far_copies(uint32_t layout)
{
	return (layout >> 8) & 0xff;
}

#endif
