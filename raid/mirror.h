/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mirrors: what RAID1 and RAID10 share. Every byte of the array has copies on several members; they differ in
 * where those are.
 *
 * A span is a part of the array whose copies are each in one piece: any at RAID1, where the copies are at the
 * same place of all members; of one chunk at RAID10. All work is done span by span. Locks, bits of
 * the bitmap and the position of a resync are array sectors, which are the member's at RAID1.
 */
#ifndef TENON_RAID_MIRROR_H
#define TENON_RAID_MIRROR_H

#include "raid/array.h"
#include "raid/raid10_geometry.h"

struct mirror_span {
	struct raid_array *array;
	const struct raid10_shape *shape; /* NULL at RAID1 */
	bool moved; /* by a reshape, to this shape: members' data begin at their new offset */
	uint64_t offset, length; /* bytes of the array */
	unsigned copies;
};

struct mirror_copy {
	unsigned index;
	struct raid_member *member;      /* who has the place, or NULL */
	struct raid_member *replacement; /* gets what is written to the member, too; or NULL */
	uint64_t
		offset; /* bytes of the member's data; where they move down perhaps before their start, by 64 bits' arithmetic */
};

/* The span that begins at `offset`, at most `length` long. */
struct mirror_span mirror_span(const struct raid_array *array, uint64_t offset, uint64_t length);
struct mirror_copy mirror_copy(const struct mirror_span *span, unsigned index);

static inline uint64_t mirror_data_start(const struct raid_member *member)
{
	return member->sb.data_offset << MD_SECTOR_SHIFT;
}

/* Where a copy is on the device, in sectors. */
static inline uint64_t mirror_sector(const struct mirror_copy *copy)
{
	return (mirror_data_start(copy->member) + copy->offset) >> MD_SECTOR_SHIFT;
}

bool mirror_agrees(const struct raid_array *array);
bool mirror_holds_alone(const struct raid_array *array, const struct raid_member *member,
			uint64_t *sector, uint64_t *count);
unsigned mirror_sync_buffers(const struct raid_array *array);

/* ---- mirror_read.c ---- */

/*
 * The copy to read a span from, of those not in `tried` (by index; NULL: all); shortens *length to the part
 * that it can give. Its member is NULL when there is none. Where copies may differ, as long as a
 * resync has not been there, it is always the same one. Does not suspend.
 */
struct mirror_copy mirror_choose(const struct mirror_span *span, uint64_t *length,
				 const struct raid_set *tried);

int mirror_status(struct raid_array *array, uint64_t offset, uint64_t *length,
		  enum block_status *status);
int mirror_readv(struct raid_array *array, uint64_t offset, uint64_t length,
		 const struct iovec *iov, unsigned count);

/* A span that a copy did not give, which is then the suspect, or -1. */
int mirror_read_again(const struct mirror_span *span, int suspect, const struct iovec *iov,
		      unsigned count);

/* Reads from whoever can, in small pieces, and writes what was read to those that could not. `suspect` is
 * a copy to try first, since reading it has just failed, or -1. The caller holds the range lock. */
int mirror_read_carefully(const struct mirror_span *span, int suspect, uint8_t *to);

/* ---- mirror_write.c ---- */

struct raid_legs;

/* What became of a span on its legs, from `first` to before `end`: 0 when one that is in sync has the data. Suspends where one
 * failed. */
int mirror_judge(const struct mirror_span *span, const struct raid_legs *legs, unsigned first,
		 unsigned end);
int mirror_write(struct raid_array *array, const struct raid_write *write);

/* ---- mirror_start.c ---- */

bool mirror_start(struct raid_array *array, struct block_work *work);
void mirror_free_transfers(struct raid_array *array);

/* ---- mirror_sync.c ---- */

int mirror_sync(struct raid_array *array, struct raid_sync *sync);

/* ---- mirror_target.c ---- */

/* A write of a member's data ended: what could be written is good again, and who could not take it is bad there, or
 * faulty. Suspends. */
void mirror_target_written(struct raid_member *member, const struct raid_sync *sync,
			   const struct block_io *io);
/* Writes a copy, which the caller has locked. Who cannot take it is failed, or bad there. */
void mirror_write_copy(const struct mirror_copy *copy, const struct raid_sync *sync,
		       const uint8_t *data, uint64_t length);

/* ---- mirror_vote.c ---- */

#define MIRROR_VOTERS 32u

/* How many copies of a span are in sync and not known as bad. */
unsigned mirror_voters(const struct mirror_span *span);
/* Finds out which copies of a span, some of which differ, are wrong, and notes it. A repair makes them what most are; where none are the
 * most they stay as they are, or with `force` become what the first is. The range is locked; uses the second buffer. */
void mirror_vote(const struct mirror_span *span, struct raid_sync *sync);

#endif
