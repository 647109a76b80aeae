/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dm-raid's superblocks (dm_raid.h), as super_sync() of Linux 6.1 writes them. A member's number is its place; of others they say only
 * who failed. Whether writes are in flight is in the bitmap alone.
 */
#include <string.h>

#include "raid/array.h"
#include "raid/dm_raid.h"
#include "raid/metadata.h"
#include "util/bytes.h"

/* In a reshape to fewer members those that will have no place have one still. */
static uint32_t places_of(const struct md_superblock *sb)
{
	return sb->raid_disks +
	       (sb->features & MD_FEATURE_RESHAPE ? (uint32_t)MAX(-sb->delta_disks, 0) : 0);
}

static void put_failed(const struct md_superblock *sb, struct dm_raid_superblock *to)
{
	for (uint32_t i = 0; i < MIN(places_of(sb), DM_RAID_DEVICES); i++) {
		if (md_superblock_role(sb, i) != i)
			to->failed[i / 64] |= 1ull << (i % 64);
	}
}

/* Data move up or down by what is free of each device; it counts as used where they begin behind it. */
static void put_reshape(const struct md_superblock *sb, struct dm_raid_superblock *to)
{
	to->data_offset = to->new_data_offset = sb->data_offset;
	if (!(sb->features & MD_FEATURE_RESHAPE))
		return;
	to->flags = DM_RAID_RESHAPE_ACTIVE;
	if (md_superblock_reshapes_backwards(sb))
		to->flags |= DM_RAID_RESHAPE_BACKWARDS;
	to->reshape_position = sb->reshape_position;
	to->new_level = sb->new_level;
	to->new_layout = sb->new_layout;
	to->new_stripe_sectors = sb->new_chunk_sectors;
	to->delta_disks = sb->delta_disks;
	to->new_data_offset += (uint64_t)(int64_t)sb->new_offset;
	if (sb->new_offset < 0)
		to->sectors += (uint64_t) - (int64_t)sb->new_offset;
}

static int write_dm(struct raid_member *member)
{
	uint8_t page[MD_SUPERBLOCK_BYTES] __attribute__((aligned(512))) = { 0 };
	const struct md_superblock *sb = &member->sb;
	struct dm_raid_superblock to = {
		.compatible = DM_RAID_V190,
		.devices = sb->raid_disks,
		.position = sb->dev_number < places_of(sb) ? sb->dev_number : DM_RAID_NO_PLACE,
		.events = sb->events,
		.recovered = sb->features & MD_FEATURE_RECOVERY_OFFSET ? sb->recovery_offset
								       : DM_RAID_DONE,
		.resynced = sb->resync_offset,
		.level = sb->level,
		.layout = sb->layout,
		.stripe_sectors = sb->chunk_sectors,
		.reshape_position = UINT64_MAX,
		.new_level = sb->level,
		.new_layout = sb->layout,
		.new_stripe_sectors = sb->chunk_sectors,
		.array_sectors = member->array->sectors,
		.sectors = sb->size ? sb->size : sb->data_size,
	};

	/* RAID0 without metadata. */
	if (member->meta == member->block)
		return 0;
	if (to.position == DM_RAID_NO_PLACE)
		to.recovered = 0;
	put_reshape(sb, &to);
	put_failed(sb, &to);
	dm_raid_encode(&to, page);
	return block_write(member->meta, 0, page, sizeof(page), BLOCK_FUA);
}

static void bitmap_uuid_dm(const struct raid_array *array, uint8_t uuid[16])
{
	(void)array;
	memset(uuid, 0, 16);
}

const struct raid_metadata_ops raid_metadata_dm = {
	.name = "dm-raid",
	.most_devices = DM_RAID_DEVICES,
	.grows = true,
	.clean_events = DM_RAID_CLEAN_EVENTS,
	.write = write_dm,
	.bitmap_uuid = bitmap_uuid_dm,
};
