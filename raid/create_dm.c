/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata of a dm-raid array whose data are there already: what a volume of another type becomes. Who has no data yet is filled by whoever
 * assembles it first, here or dm-raid.
 */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "raid/dm_raid.h"
#include "raid/geometry.h"
#include "raid/md_bitmap.h"
#include "raid/md_format.h"
#include "raid/raid.h"
#include "util/bytes.h"
#include "util/error.h"

#define FIRST_EVENTS 1u

/* Of levels without parity and copies nothing is kept beside the size of each. */
static uint64_t array_sectors(const struct raid_shape *shape, unsigned places, uint64_t sectors)
{
	return shape->level
		       ? raid_geometry_array_sectors(shape->level, shape->layout,
						     (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT),
						     places, sectors)
		       : sectors * places;
}

static uint64_t sync_sectors(const struct raid_shape *shape, unsigned places, uint64_t sectors)
{
	if (shape->level == RAID_LEVEL_10)
		return array_sectors(shape, places, sectors);
	return shape->chunk ? round_down(sectors, shape->chunk >> MD_SECTOR_SHIFT) : sectors;
}

/* All clear: what is there agrees. */
static int write_bitmap(struct block *meta, const struct raid_shape *shape, unsigned places,
			uint64_t sectors)
{
	struct md_bitmap bitmap = {
		.version = MD_BITMAP_VERSION,
		.events = FIRST_EVENTS,
		.events_cleared = FIRST_EVENTS,
		.sync_sectors = sync_sectors(shape, places, sectors),
		.chunk_bytes = (uint32_t)shape->region,
		.daemon_sleep = MD_BITMAP_SLEEP,
	};
	uint64_t bytes =
		round_up(md_bitmap_bytes(md_bitmap_chunks(bitmap.sync_sectors, bitmap.chunk_bytes)),
			 MD_SUPERBLOCK_BYTES);
	uint8_t page[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512))) = { 0 };
	int rc;

	if (!range_within(DM_RAID_BITMAP_BYTE, bytes, meta->size))
		return -ENOSPC;
	rc = block_write_zeroes(meta, DM_RAID_BITMAP_BYTE, bytes, 0);
	if (rc)
		return rc;
	md_bitmap_encode(&bitmap, page);
	return block_write(meta, DM_RAID_BITMAP_BYTE, page, sizeof(page), 0);
}

static int write_superblock(struct block *meta, const struct raid_shape *shape, unsigned place,
			    unsigned places, uint64_t sectors, bool filled)
{
	uint8_t page[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512))) = { 0 };
	uint32_t stripe = (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT);
	const struct dm_raid_superblock to = {
		.compatible = DM_RAID_V190,
		.devices = places,
		.position = place,
		.events = FIRST_EVENTS,
		.recovered = filled ? DM_RAID_DONE : 0,
		.resynced = DM_RAID_DONE,
		.level = shape->level,
		.layout = shape->layout,
		.stripe_sectors = stripe,
		.reshape_position = UINT64_MAX,
		.new_level = shape->level,
		.new_layout = shape->layout,
		.new_stripe_sectors = stripe,
		.array_sectors = array_sectors(shape, places, sectors),
		.sectors = sectors,
	};

	dm_raid_encode(&to, page);
	return block_write(meta, 0, page, sizeof(page), 0);
}

int raid_create_components(const struct raid_shape *shape, struct block *const *metas,
			   const bool *filled, unsigned places, uint64_t size, struct error *error)
{
	uint64_t sectors = size >> MD_SECTOR_SHIFT;
	int rc = raid_geometry_check(shape->level, shape->layout,
				     (uint32_t)(shape->chunk >> MD_SECTOR_SHIFT), places, error);

	if (rc)
		return rc;
	if (shape->level && (!is_power_of_two(shape->region) || shape->region < MD_SECTOR_SIZE ||
			     shape->region > UINT32_MAX))
		return error_set(
			error, -EINVAL,
			"%s: the regions of its bitmap have %llu bytes, expected a power of "
			"two below 4 GiB",
			shape->name, (unsigned long long)shape->region);
	for (unsigned i = 0; !rc && i < places; i++) {
		if (shape->level)
			rc = write_bitmap(metas[i], shape, places, sectors);
		if (!rc)
			rc = write_superblock(metas[i], shape, i, places, sectors, filled[i]);
		if (!rc)
			rc = block_flush(metas[i]);
		if (rc)
			error_set(error, rc, "%s: its metadata cannot be written: %s",
				  metas[i]->name, error_name(rc));
	}
	return rc;
}
