/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things go on a new member: the same choices as mdadm 4.2 makes (super1.c), so that its hints
 * about unused space, its --grow and its --add find what they expect.
 */
#ifndef TENON_RAID_MD_LAYOUT_H
#define TENON_RAID_MD_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct md_superblock;

/* What the whole array shares; sectors. */
struct md_layout {
	unsigned minor_version;
	uint64_t data_offset;
	uint64_t size;         /* of each member in use */
	uint32_t bitmap_chunk; /* bytes; 0: no bitmap */
	uint64_t bitmap_space; /* sectors, a multiple of 8 */
	/* From the superblock, where the other members have it: the kernel takes one figure for all of
	 * them (md.c, bitmap_info.offset). 0: there are none yet. */
	uint32_t ppl_sectors; /* of a partial parity log, at bitmap_offset; 0: none */
	int32_t bitmap_offset;
};

/* Sectors of the data that a device of so many sectors offers, and where they start (0 for 1.0). 0 when
 * it is too small for anything. `chunk_sectors` is 0 for levels without chunks. */
uint64_t md_layout_data(unsigned minor_version, uint64_t device_sectors, uint32_t chunk_sectors,
			uint64_t *data_offset);
/* The same where so much is kept beside the superblock, for a partial parity log, and nothing for a bitmap. */
uint64_t md_layout_data_beside(unsigned minor_version, uint64_t device_sectors,
			       uint32_t chunk_sectors, uint64_t reserved, uint64_t *data_offset);

/*
 * Chooses the bitmap's chunk for `layout->size` and `sync_sectors` (what its bits cover); `wanted` is a
 * chunk in bytes or 0. Sets bitmap_chunk and bitmap_space. -EINVAL with `error` set where `wanted` is no
 * power of two or needs more room than there is.
 */
int md_layout_bitmap(struct md_layout *layout, uint64_t sync_sectors, uint64_t wanted,
		     struct error *error);

/* Fills in the places of superblock, data, bitmap and bad-block log for one device. -ENOSPC when it
 * does not have the sectors, or the bitmap cannot be at `bitmap_offset`. */
int md_layout_apply(const struct md_layout *layout, uint64_t device_sectors,
		    struct md_superblock *sb);

/* The same for a write journal, which uses all of its device. */
int md_layout_journal(unsigned minor_version, uint64_t device_sectors, struct md_superblock *sb);

/* What a device must have at least for `layout`, in sectors. */
uint64_t md_layout_least_sectors(const struct md_layout *layout);

/* Entries of dev_roles[] that fill whole sectors, for so many devices. */
uint32_t md_layout_max_dev(uint32_t devices);

#endif
