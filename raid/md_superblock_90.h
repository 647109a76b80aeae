/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * md superblocks of version 0.90: 4 KiB at the last multiple of 64 KiB that is 64 KiB or more from the end, in the byte
 * order of the machine that wrote them. Data begin at sector 0. At most 27 devices; no name, no device UUIDs, no
 * recovery offset; sizes in KiB.
 *
 * Sources: include/uapi/linux/raid/md_p.h, drivers/md/md.c (super_90_load(), super_90_validate(), super_90_sync())
 * of Linux 6.1.
 */
#ifndef TENON_RAID_MD_SUPERBLOCK_90_H
#define TENON_RAID_MD_SUPERBLOCK_90_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct md_superblock;

#define MD90_BYTES            4096u
#define MD90_DEVICES          27u
#define MD90_RESERVED_SECTORS 128u

/* state */
#define MD90_CLEAN  (1u << 0)
#define MD90_ERRORS (1u << 1)
#define MD90_BITMAP (1u << 8) /* behind the superblock, up to the end of the 64 KiB */

/* states of a device */
#define MD90_FAULTY       (1u << 0)
#define MD90_ACTIVE       (1u << 1)
#define MD90_SYNC         (1u << 2)
#define MD90_REMOVED      (1u << 3)
#define MD90_WRITE_MOSTLY (1u << 9)
#define MD90_FAILFAST     (1u << 10)

struct md90_device {
	uint32_t number, major, minor, raid_disk, state;
};

struct md90_superblock {
	bool big_endian;        /* as found; what is encoded has the same order */
	uint32_t minor_version; /* 90, or 91 while a reshape is under way */
	uint32_t patch_version;
	uint8_t uuid[16]; /* its four words as the kernel has them in memory */
	uint32_t ctime, utime;
	int32_t level;
	uint32_t size_kib; /* of each member; not at linear and RAID0 */
	uint32_t nr_disks, raid_disks, md_minor, not_persistent;
	uint32_t state;
	uint32_t active_disks, working_disks, failed_disks, spare_disks;
	uint64_t events, checkpoint_events;
	uint32_t recovery_checkpoint; /* sectors; counts if its events are the events */
	uint64_t reshape_position;
	int32_t new_level, delta_disks;
	uint32_t new_layout, new_chunk_bytes;
	uint32_t layout, chunk_bytes;
	struct md90_device devices[MD90_DEVICES], this_device;
};

/* Its sector on a device of so many; -ENOSPC where there is no room. */
int md90_place(uint64_t device_sectors, uint64_t *sector);

/* Whether a page begins with the magic, in either order. */
bool md90_is_there(const void *page);

/* 0; -ENOENT without the magic; -EINVAL with `error` set: another version, checksum, or numbers that cannot be. */
int md90_decode(const void *page, struct md90_superblock *sb, struct error *error);
void md90_encode(const struct md90_superblock *sb, void *page);

/* UUIDs are kept in the order in which mdadm shows them; on the disk, and in bitmaps, each word's bytes are turned round. */
void md90_swap_uuid(const uint8_t from[16], uint8_t to[16]);

/*
 * The superblock of a page as those of 1.x are kept: data begin at sector 0, a bitmap 4096 bytes behind the superblock. There
 * are no UUIDs of devices, and what a member that is being filled has is not told: it is a spare. As md_superblock_decode(); a
 * big-endian one is -EINVAL.
 */
int md90_load(const void *page, uint64_t device_sectors, struct md_superblock *sb,
	      struct error *error);

#endif
