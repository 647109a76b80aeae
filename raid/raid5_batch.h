/* SPDX-License-Identifier: BSD-2-Clause */
/* A batch of writes to one stripe; see raid5_write.c. */
#ifndef TENON_RAID_RAID5_BATCH_H
#define TENON_RAID_RAID5_BATCH_H

#include <stddef.h>
#include <string.h>

#include "raid/raid5.h"

#define RAID5_BATCH_MOST 16u /* writes */

enum raid5_method { RAID5_FULL, RAID5_MODIFY, RAID5_RECONSTRUCT, RAID5_NO_PARITY };

/* Columns in which the same chunks are written. */
struct raid5_segment {
	uint32_t at, length; /* bytes, from the first column of the batch */
	uint8_t *covered;    /* by index: whether it is written */
	uint32_t written;    /* how many */
	enum raid5_method method;
};

/* In the journal; see raid5_journal.h. */
struct raid5_journal_entry {
	struct list node;
	uint64_t at; /* its first meta block */
	bool done;
	int rc;
};

struct raid5_batch {
	struct raid5 *r;
	uint64_t strip; /* its first column in the chunk */
	uint64_t lo;    /* the first column of the chunk that it is about */
	uint32_t width;
	unsigned flags;
	bool logged; /* raid5_ppl.c */
	struct raid5_journal_entry journaled;
	unsigned visit_count, segment_count;

	/* The first blocks of a role are what was there, the second what is written. */
	struct raid5_work work;
	uint8_t *covered;

	/* Not cleared at the beginning: they are large. */
	struct raid5_visit *visits[RAID5_BATCH_MOST];
	struct raid5_segment segments[6 * RAID5_BATCH_MOST];
};

static inline void raid5_batch_begin(struct raid5_batch *batch, struct raid5 *r, uint64_t strip,
				     struct raid5_visit *visit)
{
	memset(batch, 0, offsetof(struct raid5_batch, visits));
	batch->r = r;
	batch->strip = strip;
	batch->visits[0] = visit;
	batch->visit_count = 1;
}

/* Whether a write has all of a stripe, and no log and no other write is to be asked, so that raid5_write_whole() is for it. */
bool raid5_writes_whole(const struct raid5 *r, const struct raid5_visit *visit, uint64_t strip);
/* Carries it out, at the stripe. Suspends. 0 or a negative errno. */
int raid5_write_whole(struct raid5 *r, const struct raid5_visit *visit, uint64_t strip);

/* Reads what is needed and computes parity, into the second blocks. Suspends. 0 or a negative errno. */
int raid5_batch_parity(struct raid5_batch *batch);
/* Writes the second blocks to the members. Suspends. 0 or a negative errno, after which a resync is due. `late`: of one segment with all
 * chunks, whose parity is made here, when the data are on their way. */
int raid5_batch_write(struct raid5_batch *batch, bool late);

#endif
