/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of RAID1 share. */
#ifndef TENON_RAID_RAID1_H
#define TENON_RAID_RAID1_H

#include "raid/array.h"

extern const struct raid_level_ops raid1_ops;

/* Places that were tried, one bit each. */
struct raid1_places {
	uint64_t bits[MD_MAX_DEVICES / 64];
};

static inline uint64_t raid1_data_start(const struct raid_member *member)
{
	return member->sb.data_offset << MD_SECTOR_SHIFT;
}

/* raid1_read.c */

/*
 * The member to read [offset, offset + *length) from, of those not in `tried` (NULL: all); shortens
 * *length to the part that it can give. NULL when there is none. Where members may differ, as long as a
 * resync has not been there, it is always the same one. Does not suspend.
 */
struct raid_member *raid1_choose(struct raid_array *array, uint64_t offset, uint64_t *length,
				 const struct raid1_places *tried);

int raid1_readv(struct raid_array *array, uint64_t offset, uint64_t length, const struct iovec *iov,
		unsigned count);

#define RAID1_PIECE 4096u

/* Reads from whoever can, in small pieces, and writes what was read to those that could not. `suspect` is
 * a place to try first, since reading from it has just failed, or -1. The caller holds the range lock. */
int raid1_read_carefully(struct raid_array *array, int suspect, uint64_t offset, uint8_t *to,
			 uint64_t length);

/* Writes at most RAID1_PIECE bytes and reads them back: 0 when they are there, or a negative errno. */
int raid1_write_anew(struct raid_member *member, uint64_t offset, const uint8_t *data,
		     uint64_t length);

/* Writes what another member had, at most RAID1_PIECE bytes, to one that could not read it, and reads
 * it back; where that fails the member is faulty. */
void raid1_make_good(struct raid_member *member, uint64_t offset, const uint8_t *data,
		     uint64_t length);

/* raid1.c */

/* A member could not take [offset, offset + length), which another that is in sync has, or not give it back
 * (`rc`). True: it alone has other data, so that it is not to be failed, and its bad-block log names what it
 * lacks (superblocks are wanted then). False: it is to be failed. Does not suspend. */
bool raid1_note_instead(struct raid_member *member, uint64_t offset, uint64_t length, int rc);

/* raid1_sync.c */
int raid1_sync(struct raid_array *array, struct raid_sync *sync);

#endif
