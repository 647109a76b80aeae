/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The write journal of levels 4, 5 and 6 at work (see md_journal.h for what it is and where): written before stripes are, and
 * carried out when an array is started.
 *
 *	raid5_journal.c		writes it
 *	raid5_replay.c		carries it out, and raid5_replay_scan.c reads it for that
 */
#ifndef TENON_RAID_RAID5_JOURNAL_H
#define TENON_RAID_RAID5_JOURNAL_H

#include "raid/md_journal.h"
#include "raid/raid5_batch.h"

struct error;

/* Sectors are those of the ring. */
struct raid5_journal {
	struct raid5 *r;
	uint64_t sectors; /* of the ring */
	uint64_t head;    /* where the next meta block goes */
	uint64_t sequence;
	uint64_t last; /* the newest meta block that is durable */

	struct list pending; /* batches that wait to be written, struct raid5_journal_entry */
	struct list
		flying; /* that are durable there, and not all on the members yet, in the order of the ring */
	bool writing;
	bool lost; /* its device was, which has been told */
	struct raid_watch watch;
	struct fiber_queue
		queue; /* something was written, or reached the members; or it was lost */
};

/* Whether the array's superblocks speak of one. */
static inline bool raid5_has_journal(const struct raid_array *array)
{
	return array->features & MD_FEATURE_JOURNAL;
}

static inline uint64_t raid5_ring_add(const struct raid5_journal *journal, uint64_t at,
				      uint64_t sectors)
{
	return (at + sectors) % journal->sectors;
}

static inline uint64_t raid5_ring_distance(const struct raid5_journal *journal, uint64_t from,
					   uint64_t to)
{
	return to >= from ? to - from : to + journal->sectors - from;
}

static inline uint64_t raid5_ring_byte(const struct raid5_journal *journal, uint64_t at)
{
	return (journal->r->array->journal->sb.data_offset + at) << MD_SECTOR_SHIFT;
}

/* Whether there can be one of so many sectors on the device `name`: 0, or a negative errno with `error` set. Pure. */
int raid5_journal_check(const struct raid5 *r, const char *name, uint64_t sectors,
			struct error *error);
/* 0, or a negative errno with `error` set: no memory, or as raid5_journal_check(). */
int raid5_journal_create(struct raid5 *r, struct error *error);
void raid5_journal_free(struct raid5 *r);

/* Makes an empty journal on the device, whose superblock is still to be written. Suspends. 0 or a negative errno. */
int raid5_journal_clear(struct raid5_journal *journal);

/*
 * Carries out what the journal says, before anything is written. With `look` what is written to members and journal is kept in memory
 * (raid_array.from_log: there is such), of limited size: -EROFS where it takes more. Suspends. 0, or a negative errno with `error` set.
 */
int raid5_journal_replay(struct raid5 *r, bool look, struct error *error);

/* How far the journal is not needed any more once all members are flushed. */
uint64_t raid5_journal_checkpoint(const struct raid5_journal *journal);

/*
 * Before a batch is written, once its parity is computed: it is in the journal, durably, when this returns, and so is all that was there
 * before. 0, or -EIO: it is not, and must not be written. Suspends.
 */
int raid5_journal_begin(struct raid5_batch *batch);
/* It has been written, or not been begun. */
void raid5_journal_end(struct raid5_batch *batch);

/* Writes blocks of the ring from `at` on, durably, one for each iovec. Suspends. */
int raid5_journal_put(struct raid5_journal *journal, uint64_t at, const struct iovec *iov,
		      unsigned count);

#endif
