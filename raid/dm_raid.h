/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dm-raid superblocks: what LVM's RAID segments have on their metadata volumes (rmeta), at byte 0; a write-intent
 * bitmap with a UUID of zeroes follows at byte 4096. There is no checksum. One of zeroes is a new device, which is
 * resynchronized as a whole.
 *
 * Source: drivers/md/dm-raid.c of Linux 6.1. Little-endian.
 */
#ifndef TENON_RAID_DM_RAID_H
#define TENON_RAID_DM_RAID_H

#include <stdbool.h>
#include <stdint.h>

struct error;

#define DM_RAID_MAGIC        0x64526d44u /* "DmRd" */
#define DM_RAID_BYTES        512u        /* what is decoded; the rest of a block is zero */
#define DM_RAID_BITMAP_BYTE  4096u
#define DM_RAID_DEVICES      253u
#define DM_RAID_FAILED_WORDS 4u
#define DM_RAID_DONE         UINT64_MAX
#define DM_RAID_NO_PLACE     UINT32_MAX /* `position` of one that a reshape had no place left for */
/* Ours: the bitmap's events are so many more than the superblock's where nothing was being written, and its bits are for those only who are away. The
 * kernel writes the superblock's as it loads a bitmap. */
#define DM_RAID_CLEAN_EVENTS (1ull << 48)

/* compatible: the fields from `flags` on are there */
#define DM_RAID_V190 0x1u

/* flags */
#define DM_RAID_RESHAPE_ACTIVE    0x1u
#define DM_RAID_RESHAPE_BACKWARDS 0x2u

struct dm_raid_superblock {
	uint32_t compatible, incompatible;
	uint32_t devices, position; /* of the set, and this one's place */
	uint64_t events;
	uint64_t failed[DM_RAID_FAILED_WORDS]; /* a bit for each place */
	uint64_t recovered;                    /* sectors of this device; DM_RAID_DONE */
	uint64_t resynced;                     /* sectors of all; DM_RAID_DONE */
	int32_t level;
	uint32_t layout, stripe_sectors;

	/* with DM_RAID_V190 */
	uint32_t flags;
	uint64_t reshape_position;
	int32_t new_level;
	uint32_t new_layout, new_stripe_sectors;
	int32_t delta_disks;
	uint64_t array_sectors, data_offset, new_data_offset, sectors;
};

/* 0; -ENOENT without the magic; -EINVAL with `error` set: features that are not known, places that cannot be. */
int dm_raid_decode(const void *at, struct dm_raid_superblock *sb, struct error *error);
void dm_raid_encode(const struct dm_raid_superblock *sb, void *at);

/* How many there are; `devices` is the new number while it is reshaped, also to fewer. */
static inline uint32_t dm_raid_places(const struct dm_raid_superblock *sb)
{
	bool fewer = (sb->flags & DM_RAID_RESHAPE_ACTIVE) && sb->delta_disks < 0 &&
		     sb->delta_disks >= -(int32_t)DM_RAID_DEVICES;

	return fewer ? sb->devices + (uint32_t)-sb->delta_disks : sb->devices;
}

static inline bool dm_raid_failed(const struct dm_raid_superblock *sb, uint32_t place)
{
	return place / 64 < DM_RAID_FAILED_WORDS && (sb->failed[place / 64] >> (place % 64) & 1);
}

#endif
