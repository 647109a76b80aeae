/* SPDX-License-Identifier: BSD-2-Clause */
/* RAID1: each member in sync has all of the data, at the same place. What it does is in mirror.h. */
#include "raid/mirror.h"

static int raid1_start(struct raid_array *array, struct error *error)
{
	(void)error;
	array->sectors = array->sync_sectors = array->now.member_sectors;
	return 0;
}

static bool raid1_survives(const struct raid_array *array, const struct raid_set *absent)
{
	for (uint32_t i = 0; i < array->now.disks; i++) {
		if (!raid_set_has(absent, i))
			return true;
	}
	return false;
}

const struct raid_level_ops raid1_ops = {
	.level = RAID_LEVEL_1,
	.start = raid1_start,
	.resize = raid1_start,
	.survives = raid1_survives,
	.agrees = mirror_agrees,
	.holds_alone = mirror_holds_alone,
	.readv = mirror_readv,
	.write = mirror_write,
	.start_transfer = mirror_start,
	.status = mirror_status,
	.sync_buffers = mirror_sync_buffers,
	.sync = mirror_sync,
};
