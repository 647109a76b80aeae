/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * md's structures on disk: superblock version 1.x, write-intent bitmap, bad-block log.
 *
 * Sources: include/uapi/linux/raid/md_p.h, drivers/md/md.c (super_1_load, super_1_validate,
 * super_1_sync) and drivers/md/md-bitmap.[ch] of Linux 6.1. All integers are little-endian; use
 * get_le*() on them. Sectors are of 512 bytes whatever the device has.
 */
#ifndef TENON_RAID_MD_FORMAT_H
#define TENON_RAID_MD_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MD_SECTOR_SHIFT 9
#define MD_SECTOR_SIZE  512u

#define MD_MAGIC               0xa92b4efcu
#define MD_SUPERBLOCK_BYTES    4096u /* what is read and written; the checksum covers less */
#define MD_SUPERBLOCK_SECTORS  8u
#define MD_SUPERBLOCK_FIXED    256u /* before the roles */
#define MD_MAX_DEVICES         ((MD_SUPERBLOCK_BYTES - MD_SUPERBLOCK_FIXED) / 2)
#define MD_TIME_SECONDS_MASK   ((1ull << 40) - 1) /* the bits above hold microseconds */
#define MD_RESYNC_DONE         UINT64_MAX         /* resync_offset of a clean array */
#define MD_RESERVED_SECTORS_90 128u               /* version 0.90 lives in the last 64 to 128 KiB */

/* Versions other than 1.x where one is told by `minor_version`. */
#define MD_VERSION_90 90u
#define MD_VERSION_DM 91u /* dm-raid: superblock and bitmap on a device apart */

/* dev_roles[] */
#define MD_ROLE_SPARE   0xffffu
#define MD_ROLE_FAULTY  0xfffeu
#define MD_ROLE_JOURNAL 0xfffdu
#define MD_ROLE_MAX     0xff00u /* roles below are places in the array */

/* devflags */
#define MD_DEVICE_WRITE_MOSTLY 1u
#define MD_DEVICE_FAILFAST     2u

/* feature_map */
#define MD_FEATURE_BITMAP            0x0001u
#define MD_FEATURE_RECOVERY_OFFSET   0x0002u /* recovery_offset must be honoured */
#define MD_FEATURE_RESHAPE           0x0004u
#define MD_FEATURE_BAD_BLOCKS        0x0008u /* the bad-block log is not empty */
#define MD_FEATURE_REPLACEMENT       0x0010u /* replaces a member of the same role */
#define MD_FEATURE_RESHAPE_BACKWARDS 0x0020u
#define MD_FEATURE_NEW_OFFSET        0x0040u
#define MD_FEATURE_RECOVERY_BITMAP   0x0080u /* the recovery copies only what the bitmap says */
#define MD_FEATURE_CLUSTERED         0x0100u
#define MD_FEATURE_JOURNAL           0x0200u
#define MD_FEATURE_PPL               0x0400u
#define MD_FEATURE_MULTIPLE_PPLS     0x0800u
#define MD_FEATURE_RAID0_LAYOUT      0x1000u
#define MD_FEATURE_ALL               0x1fffu

struct md_superblock_1 {
	/* the array, the same on each member */
	uint32_t magic;
	uint32_t major_version; /* 1 */
	uint32_t feature_map;
	uint32_t pad0; /* the kernel refuses anything but 0 */
	uint8_t set_uuid[16];
	char set_name[32]; /* not terminated when full */
	uint64_t ctime;
	uint32_t level; /* signed */
	uint32_t layout;
	uint64_t size; /* sectors of each member in use */
	uint32_t chunksize;
	uint32_t raid_disks;
	uint32_t
		bitmap_offset; /* signed, sectors from the superblock; or PPL offset and size, 16 bits each */

	/* a reshape in progress */
	uint32_t new_level;
	uint64_t reshape_position;
	uint32_t delta_disks;
	uint32_t new_layout;
	uint32_t new_chunk;
	uint32_t new_offset;

	/* this member */
	uint64_t data_offset;
	uint64_t data_size;
	uint64_t super_offset; /* must be where it was found */
	uint64_t recovery_offset;
	uint32_t dev_number;
	uint32_t cnt_corrected_read;
	uint8_t device_uuid[16];
	uint8_t devflags;
	uint8_t bblog_shift;
	uint16_t bblog_size;
	uint32_t bblog_offset; /* signed, sectors from the superblock */

	/* the state */
	uint64_t utime;
	uint64_t events;
	uint64_t resync_offset;
	uint32_t sb_csum;
	uint32_t max_dev;
	uint32_t logical_block_size; /* bytes, or 0; kernels before 6.19 refuse anything but 0 */
	uint8_t pad3[28];            /* zeroes, or the kernel refuses it */
	uint16_t dev_roles[];
} __attribute__((packed));

/*
 * A level that the array is to have once data have been moved, which md keeps no note of: in place of the microseconds of utime, as a number that they
 * cannot be. md and mdadm look at the seconds only, and md's next update clears it; so it is the word of whoever wrote last. At 0.90 it is in
 * bits of `state` that mean nothing to md.
 */
#define MD_NEXT_NONE    0u
#define MD_NEXT_LEVEL_0 1u
#define MD_NEXT_LEVEL_5 2u
#define MD_NEXT_SHIFT   40u
#define MD_NEXT_BASE    0xf7e000u
#define MD90_NEXT_SHIFT 28u
#define MD90_NEXT_MASK  3u

static_assert(offsetof(struct md_superblock_1, set_uuid) == 16, "md superblock");
static_assert(offsetof(struct md_superblock_1, ctime) == 64, "md superblock");
static_assert(offsetof(struct md_superblock_1, bitmap_offset) == 96, "md superblock");
static_assert(offsetof(struct md_superblock_1, data_offset) == 128, "md superblock");
static_assert(offsetof(struct md_superblock_1, device_uuid) == 168, "md superblock");
static_assert(offsetof(struct md_superblock_1, bblog_offset) == 188, "md superblock");
static_assert(offsetof(struct md_superblock_1, utime) == 192, "md superblock");
static_assert(offsetof(struct md_superblock_1, sb_csum) == 216, "md superblock");
static_assert(sizeof(struct md_superblock_1) == MD_SUPERBLOCK_FIXED, "md superblock");

/* ---- Write-intent bitmap ---- */

#define MD_BITMAP_MAGIC             0x6d746962u /* "bitm" */
#define MD_BITMAP_SUPER_BYTES       256u /* the bits follow, one for each chunk, lowest bit first */
#define MD_BITMAP_VERSION           4u
#define MD_BITMAP_VERSION_HOST      3u /* bits in the byte order of the host that made it */
#define MD_BITMAP_VERSION_CLUSTERED 5u
#define MD_BITMAP_VERSION_LOCKLESS  6u

/* state */
#define MD_BITMAP_STALE       2u
#define MD_BITMAP_WRITE_ERROR 4u

struct md_bitmap_super {
	uint32_t magic;
	uint32_t version;
	uint8_t uuid[16];        /* the array's */
	uint64_t events;         /* behind the superblock's: the bitmap cannot be trusted */
	uint64_t events_cleared; /* a member with fewer events needs more than the set bits say */
	uint64_t sync_size;      /* sectors that the bits cover */
	uint32_t state;
	uint32_t chunksize;    /* bytes */
	uint32_t daemon_sleep; /* seconds */
	uint32_t write_behind;
	uint32_t sectors_reserved;
	uint32_t nodes;
	uint8_t cluster_name[64];
	uint8_t pad[120];
} __attribute__((packed));

static_assert(offsetof(struct md_bitmap_super, sync_size) == 40, "md bitmap");
static_assert(offsetof(struct md_bitmap_super, sectors_reserved) == 64, "md bitmap");
static_assert(sizeof(struct md_bitmap_super) == MD_BITMAP_SUPER_BYTES, "md bitmap");

/* ---- Bad-block log: entries of 64 bits, up to one of all ones ---- */

#define MD_BBLOG_SECTORS    8u /* what mdadm reserves, and the most the kernel takes */
#define MD_BBLOG_END        UINT64_MAX
#define MD_BBLOG_SHIFT      10 /* sector << 10 | count */
#define MD_BBLOG_COUNT_MASK 0x3ffu

#endif
