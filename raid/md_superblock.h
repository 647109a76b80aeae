/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * md superblocks of version 1.x in memory: decode, validate, encode, find.
 *
 * Decoding looks only at bytes that the 4 KiB page has; validation compares what was decoded with the
 * place, the device and what the kernel accepts. Nothing else in raid/ reads a superblock's bytes.
 */
#ifndef TENON_RAID_MD_SUPERBLOCK_H
#define TENON_RAID_MD_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/md_format.h"

struct block;
struct error;

/* A decoded superblock, in host byte order. Sectors are of 512 bytes. */
struct md_superblock {
	unsigned
		minor_version; /* by the place where it was found: 1.0, 1.1, 1.2, or MD_VERSION_90 */
	uint32_t features;     /* MD_FEATURE_* */
	uint8_t set_uuid
		[16];      /* of 0.90 in the order in which mdadm shows it: see md90_swap_uuid() */
	char set_name[33]; /* of 0.90 its preferred minor number */
	uint64_t ctime, utime; /* seconds */
	int32_t level;
	uint32_t layout;
	uint64_t size; /* sectors of each member in use */
	uint32_t chunk_sectors;
	uint32_t raid_disks;
	int32_t bitmap_offset; /* sectors from the superblock */
	int16_t ppl_offset;
	uint16_t ppl_size;

	int32_t new_level;
	uint64_t reshape_position;
	int32_t delta_disks;
	uint32_t new_layout, new_chunk_sectors;
	int32_t new_offset;

	uint64_t data_offset, data_size, super_offset;
	uint64_t recovery_offset; /* sectors recovered; with MD_FEATURE_RECOVERY_OFFSET */
	uint32_t dev_number;
	uint32_t corrected_reads;
	uint8_t device_uuid[16];
	uint8_t devflags;
	uint8_t bblog_shift;
	uint16_t bblog_size;
	int32_t bblog_offset;

	uint64_t events;
	uint64_t resync_offset;               /* sectors known to be in sync, or MD_RESYNC_DONE */
	uint32_t checksum, checksum_expected; /* as found, and as it should be */
	uint32_t max_dev;
	/* Bytes; what kernels from 6.19 on record for the array, else 0. Older ones refuse it: it is kept
	 * where it was found, and 0 in what is created here. */
	uint32_t logical_block_size;
	uint32_t preferred_minor; /* 0.90 only: N of /dev/mdN */
	uint8_t next;             /* MD_NEXT_*; see md_format.h */
	bool next_from_md;        /* see md_superblock_take_next() */
	bool big_endian;    /* 0.90 only, of a machine on which words begin with the high byte */
	bool padding_dirty; /* pad0 or pad3 is not zero: see md_superblock_validate() */
	uint16_t roles[MD_MAX_DEVICES];
};

/*
 * mdadm from 4.4 on has Linux from 6.12 on record the level that it takes once data have been moved, 5 of a level 6 or 0 of a level 5, as the new one
 * of the reshape, which is none of that level: it becomes `next`, and the reshape one at its level.
 */
void md_superblock_take_next(struct md_superblock *sb);

/* "1.2", "0.90", of a `minor_version`. Returns `text`. */
const char *md_superblock_version(unsigned minor, char text[8]);

/* Where version 1.`minor`, or 0.90, keeps its superblock on a device of so many sectors; -ENOSPC when it has no
 * room for one. */
int md_superblock_place(unsigned minor, uint64_t device_sectors, uint64_t *sector);

/* The checksum over 256 + 2 * max_dev bytes with the checksum field taken as 0 (md.c calc_sb_1_csum).
 * `max_dev` must be at most MD_MAX_DEVICES. */
uint32_t md_superblock_checksum(const void *page, uint32_t max_dev);

/* Decodes a page of MD_SUPERBLOCK_BYTES. 0; -ENOENT without the magic; -EINVAL with `error` set (major
 * version, max_dev, checksum), and then the fields are decoded all the same, for `examine`. */
int md_superblock_decode(const void *page, unsigned minor, struct md_superblock *sb,
			 struct error *error);

/* Writes a whole page, checksum included; unused roles are spares. */
void md_superblock_encode(const struct md_superblock *sb, void *page);

/* Whether the kernel would take it on a device of so many sectors, and its numbers are sane: place,
 * padding, features, sizes and areas that must not overlap. 0, or with `error` set -EINVAL, or -ENXIO when
 * all is well but for a device that is too short. */
int md_superblock_validate(const struct md_superblock *sb, uint64_t device_sectors,
			   struct error *error);

/*
 * With a superblock at the end and an offset of the data (mdadm --data-offset) mdadm writes a data_size that the offset was not taken
 * from, and md takes it as long as it is not beyond the superblock itself. What the array uses, `size`, is before all that is
 * behind the data: then data_size becomes what there is. For who is to be a member; `examine` shows what was written.
 */
void md_superblock_trim(struct md_superblock *sb);

/* The least size of a device that it can be on; 0 where it does not say. */
uint64_t md_superblock_least_bytes(const struct md_superblock *sb);

/* Bytes that the bitmap may take: from its place to the next area or the device's end. `sb` must have
 * been validated and have MD_FEATURE_BITMAP. */
uint64_t md_superblock_bitmap_room(const struct md_superblock *sb, uint64_t device_sectors);

/*
 * Which of two that were found on a device of so many sectors it is that makes it a member: an order in which any number of them has a first. `rc` is what
 * came of each: 0, -ENXIO (the device has become shorter), -EINVAL (damaged) or -ENOENT. One at the end, or that goes to the end, is better than one at the start that
 * stops before: that is among the data of the other, even where the other is damaged. Else a good one is better, then the younger array, as for
 * mdadm, then the newer version.
 */
bool md_superblock_is_better(const struct md_superblock *one, int one_rc,
			     const struct md_superblock *other, int other_rc, uint64_t sectors);

/*
 * Looks at the four places, and takes the best. 0;
 * -ENOENT when there is none; -EINVAL with `error` set for a damaged one, for a 0.90 of a big-endian machine, or a
 * device too small for any; -ENXIO for a good one on a device that has become shorter; the error of a
 * read, but of a place where the one that was found has data. On -EINVAL *found says whether `sb` holds what could be decoded; on -ENXIO it does.
 */
int md_superblock_find(struct block *block, struct md_superblock *sb, bool *found,
		       struct error *error);

/* The byte on the device that is `sectors` from the superblock, where bitmap and bad-block log are told to
 * be; `sb` must have been validated. */
static inline uint64_t md_superblock_byte(const struct md_superblock *sb, int32_t sectors)
{
	return (sb->super_offset + (uint64_t)(int64_t)sectors) << MD_SECTOR_SHIFT;
}

/* Writes the superblock to its place; it is durable when this returns. */
int md_superblock_write(struct block *block, const struct md_superblock *sb);

/* The role that `sb` gives to a device: a place, MD_ROLE_SPARE, ... */
static inline uint16_t md_superblock_role(const struct md_superblock *sb, uint32_t dev_number)
{
	return dev_number < sb->max_dev && dev_number < MD_MAX_DEVICES ? sb->roles[dev_number]
								       : MD_ROLE_SPARE;
}

/* The part of the set name after "host:", as it is: any bytes, which who shows them cleans (util/text.h). */
const char *md_superblock_short_name(const struct md_superblock *sb);

/* Whether the reshape that it is in goes from the array's end to its start. */
static inline bool md_superblock_reshapes_backwards(const struct md_superblock *sb)
{
	return sb->delta_disks < 0 ||
	       (!sb->delta_disks && (sb->features & MD_FEATURE_RESHAPE_BACKWARDS));
}

#endif
