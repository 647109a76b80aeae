/* SPDX-License-Identifier: BSD-2-Clause */
/* Pure arithmetic on md's levels. Sources: drivers/md/{raid0,raid1,raid5,raid10}.c of Linux 6.1. */
#include "raid/geometry.h"

#include <errno.h>
#include <stdio.h>

#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"

#define LEVEL_MULTIPATH (-4)
#define LEVEL_FAULTY    (-5)

static int check_disks(uint32_t raid_disks, uint32_t least, const char *what, struct error *error)
{
	if (raid_disks < least)
		return error_set(error, -EINVAL, "raid_disks is %u, expected %u or more for %s",
				 raid_disks, least, what);
	return 0;
}

static int check_chunk(uint32_t chunk_sectors, struct error *error)
{
	if (chunk_sectors < 8 || !is_power_of_two(chunk_sectors))
		return error_set(error, -EINVAL,
				 "the chunk is %u sectors, expected a power of two "
				 "of 8 or more",
				 chunk_sectors);
	return 0;
}

static int check_parity(int level, uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error)
{
	bool known = layout <= 5 || (level == RAID_LEVEL_6 && ((layout >= 8 && layout <= 10) ||
							       (layout >= 16 && layout <= 20)));
	int rc;

	/* mdadm gives raid4 the layout 0, the kernel looks at none. */
	if (level != RAID_LEVEL_4 && !known)
		return error_set(error, -EINVAL, "the layout is %u, expected one of raid%d's",
				 layout, level);
	rc = check_chunk(chunk_sectors, error);
	if (rc)
		return rc;
	return level == RAID_LEVEL_6 ? check_disks(raid_disks, 4, "raid6", error)
				     : check_disks(raid_disks, 2, "raid4 and raid5", error);
}

static int check_raid10(uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error)
{
	uint32_t copies = raid10_near_copies(layout) * raid10_far_copies(layout);
	int rc;

	if (layout >> 19 || copies < 2)
		return error_set(error, -EINVAL,
				 "the layout is 0x%x, expected near and far copies "
				 "of which there are two or more",
				 layout);
	rc = check_chunk(chunk_sectors, error);
	return rc ? rc : check_disks(raid_disks, copies, "its copies", error);
}

int raid_geometry_check(int level, uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			struct error *error)
{
	switch (level) {
	case RAID_LEVEL_0:
		if (!chunk_sectors)
			return error_set(error, -EINVAL,
					 "the chunk is 0 sectors, expected more for raid0");
		return 0;
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		return check_parity(level, layout, chunk_sectors, raid_disks, error);
	case RAID_LEVEL_10:
		return check_raid10(layout, chunk_sectors, raid_disks, error);
	case RAID_LEVEL_1:
	case RAID_LEVEL_LINEAR:
	case LEVEL_MULTIPATH:
	case LEVEL_FAULTY:
		return 0;
	default:
		return error_set(error, -EINVAL,
				 "the level is %d, expected linear, 0, 1, 4, 5, 6 or 10", level);
	}
}

/* raid10_size(): chunks of the members shared out among the copies, rounded down to whole chunks. */
static uint64_t raid10_sectors(uint32_t layout, uint32_t chunk_sectors, uint32_t raid_disks,
			       uint64_t member_sectors)
{
	uint64_t chunks = member_sectors / chunk_sectors / raid10_far_copies(layout), total;

	if (__builtin_mul_overflow(chunks, raid_disks, &total))
		return 0;
	return total / raid10_near_copies(layout) * chunk_sectors;
}

uint64_t raid_geometry_array_sectors(int level, uint32_t layout, uint32_t chunk_sectors,
				     uint32_t raid_disks, uint64_t member_sectors)
{
	uint64_t sectors, data_disks;

	if (raid_geometry_check(level, layout, chunk_sectors, raid_disks, NULL))
		return 0;
	switch (level) {
	case RAID_LEVEL_1:
	case LEVEL_MULTIPATH:
	case LEVEL_FAULTY:
		return member_sectors;
	case RAID_LEVEL_4:
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		data_disks = raid_disks - (level == RAID_LEVEL_6 ? 2 : 1);
		sectors = round_down(member_sectors, chunk_sectors);
		return __builtin_mul_overflow(sectors, data_disks, &sectors) ? 0 : sectors;
	case RAID_LEVEL_10:
		return raid10_sectors(layout, chunk_sectors, raid_disks, member_sectors);
	default:
		return 0;
	}
}

bool raid_geometry_redundant(int level)
{
	return level > 0;
}

static const char *parity_layout_name(uint32_t layout)
{
	switch (layout) {
	case 0:
		return "left-asymmetric";
	case 1:
		return "right-asymmetric";
	case 2:
		return "left-symmetric";
	case 3:
		return "right-symmetric";
	case 4:
		return "parity-first";
	case 5:
		return "parity-last";
	case 8:
		return "ddf-zero-restart";
	case 9:
		return "ddf-N-restart";
	case 10:
		return "ddf-N-continue";
	case 16:
		return "left-asymmetric-6";
	case 17:
		return "right-asymmetric-6";
	case 18:
		return "left-symmetric-6";
	case 19:
		return "right-symmetric-6";
	case 20:
		return "parity-first-6";
	default:
		return "unknown";
	}
}

const char *raid_geometry_layout_name(int level, uint32_t layout, char buffer[32])
{
	uint32_t far = raid10_far_copies(layout);

	switch (level) {
	case RAID_LEVEL_5:
	case RAID_LEVEL_6:
		return parity_layout_name(layout);
	case RAID_LEVEL_10:
		if (raid10_near_copies(layout) > 1 && far > 1)
			snprintf(buffer, 32, "near=%u, %s=%u", raid10_near_copies(layout),
				 layout & 0x10000 ? "offset" : "far", far);
		else if (far > 1)
			snprintf(buffer, 32, "%s=%u", layout & 0x10000 ? "offset" : "far", far);
		else
			snprintf(buffer, 32, "near=%u", raid10_near_copies(layout));
		return buffer;
	default:
		return NULL;
	}
}
