/* SPDX-License-Identifier: BSD-2-Clause */
/* dm-raid superblocks; see dm_raid.h. */
#include "raid/dm_raid.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

struct format {
	uint32_t magic, compat_features, num_devices, array_position;
	uint64_t events, failed_devices, disk_recovery_offset, array_resync_offset;
	uint32_t level, layout, stripe_sectors;
	uint32_t flags;
	uint64_t reshape_position;
	uint32_t new_level, new_layout, new_stripe_sectors, delta_disks;
	uint64_t array_sectors, data_offset, new_data_offset, sectors;
	uint64_t extended_failed_devices[DM_RAID_FAILED_WORDS - 1];
	uint32_t incompat_features;
} __attribute__((packed));

static_assert(offsetof(struct format, level) == 48, "dm-raid superblock");
static_assert(offsetof(struct format, reshape_position) == 64, "dm-raid superblock");
static_assert(offsetof(struct format, array_sectors) == 88, "dm-raid superblock");
static_assert(offsetof(struct format, incompat_features) == 144, "dm-raid superblock");

#define FIELD(at, bits, field) get_le##bits((const uint8_t *)(at) + offsetof(struct format, field))
#define PUT_FIELD(at, bits, field, value)                                                          \
	put_le##bits((uint8_t *)(at) + offsetof(struct format, field), value)

static void decode_extension(const void *at, struct dm_raid_superblock *sb)
{
	sb->flags = FIELD(at, 32, flags);
	sb->reshape_position = FIELD(at, 64, reshape_position);
	sb->new_level = (int32_t)FIELD(at, 32, new_level);
	sb->new_layout = FIELD(at, 32, new_layout);
	sb->new_stripe_sectors = FIELD(at, 32, new_stripe_sectors);
	sb->delta_disks = (int32_t)FIELD(at, 32, delta_disks);
	sb->array_sectors = FIELD(at, 64, array_sectors);
	sb->data_offset = FIELD(at, 64, data_offset);
	sb->new_data_offset = FIELD(at, 64, new_data_offset);
	sb->sectors = FIELD(at, 64, sectors);
	for (unsigned i = 1; i < DM_RAID_FAILED_WORDS; i++)
		sb->failed[i] = get_le64((const uint8_t *)at +
					 offsetof(struct format, extended_failed_devices) +
					 8 * (size_t)(i - 1));
	sb->incompatible = FIELD(at, 32, incompat_features);
}

int dm_raid_decode(const void *at, struct dm_raid_superblock *sb, struct error *error)
{
	memset(sb, 0, sizeof(*sb));
	if (FIELD(at, 32, magic) != DM_RAID_MAGIC)
		return -ENOENT;
	sb->compatible = FIELD(at, 32, compat_features);
	sb->devices = FIELD(at, 32, num_devices);
	sb->position = FIELD(at, 32, array_position);
	sb->events = FIELD(at, 64, events);
	sb->failed[0] = FIELD(at, 64, failed_devices);
	sb->recovered = FIELD(at, 64, disk_recovery_offset);
	sb->resynced = FIELD(at, 64, array_resync_offset);
	sb->level = (int32_t)FIELD(at, 32, level);
	sb->layout = FIELD(at, 32, layout);
	sb->stripe_sectors = FIELD(at, 32, stripe_sectors);
	if (sb->compatible & DM_RAID_V190)
		decode_extension(at, sb);
	if (sb->compatible & ~DM_RAID_V190 || sb->incompatible)
		return error_set(
			error, -EINVAL,
			"the dm-raid superblock has the features 0x%x and 0x%x, expected 0x%x "
			"at most and 0",
			sb->compatible, sb->incompatible, DM_RAID_V190);
	if (!sb->devices || sb->devices > DM_RAID_DEVICES ||
	    (sb->position >= dm_raid_places(sb) && sb->position != DM_RAID_NO_PLACE))
		return error_set(
			error, -EINVAL,
			"the dm-raid superblock is of place %u of %u, expected one of 1 to %u",
			sb->position, sb->devices, DM_RAID_DEVICES);
	return 0;
}

void dm_raid_encode(const struct dm_raid_superblock *sb, void *at)
{
	memset(at, 0, DM_RAID_BYTES);
	PUT_FIELD(at, 32, magic, DM_RAID_MAGIC);
	PUT_FIELD(at, 32, compat_features, sb->compatible);
	PUT_FIELD(at, 32, num_devices, sb->devices);
	PUT_FIELD(at, 32, array_position, sb->position);
	PUT_FIELD(at, 64, events, sb->events);
	PUT_FIELD(at, 64, failed_devices, sb->failed[0]);
	PUT_FIELD(at, 64, disk_recovery_offset, sb->recovered);
	PUT_FIELD(at, 64, array_resync_offset, sb->resynced);
	PUT_FIELD(at, 32, level, (uint32_t)sb->level);
	PUT_FIELD(at, 32, layout, sb->layout);
	PUT_FIELD(at, 32, stripe_sectors, sb->stripe_sectors);
	if (!(sb->compatible & DM_RAID_V190))
		return;
	PUT_FIELD(at, 32, flags, sb->flags);
	PUT_FIELD(at, 64, reshape_position, sb->reshape_position);
	PUT_FIELD(at, 32, new_level, (uint32_t)sb->new_level);
	PUT_FIELD(at, 32, new_layout, sb->new_layout);
	PUT_FIELD(at, 32, new_stripe_sectors, sb->new_stripe_sectors);
	PUT_FIELD(at, 32, delta_disks, (uint32_t)sb->delta_disks);
	PUT_FIELD(at, 64, array_sectors, sb->array_sectors);
	PUT_FIELD(at, 64, data_offset, sb->data_offset);
	PUT_FIELD(at, 64, new_data_offset, sb->new_data_offset);
	PUT_FIELD(at, 64, sectors, sb->sectors);
	for (unsigned i = 1; i < DM_RAID_FAILED_WORDS; i++)
		put_le64((uint8_t *)at + offsetof(struct format, extended_failed_devices) +
				 8 * (size_t)(i - 1),
			 sb->failed[i]);
	PUT_FIELD(at, 32, incompat_features, sb->incompatible);
}
