/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The partial parity log of RAID5 at work (see md_ppl.h for what it is and where): written before a stripe is, and carried out
 * when an array is started that was not stopped.
 */
#ifndef TENON_RAID_RAID5_PPL_H
#define TENON_RAID_RAID5_PPL_H

#include "raid/raid5_batch.h"

struct error;
struct raid5_ppl;

/* Whether the array's superblocks speak of one. */
static inline bool raid5_has_ppl(const struct raid_array *array)
{
	return array->features & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);
}

/* 0, or a negative errno with `error` set: no memory, too many disks, areas that are too small. */
int raid5_ppl_create(struct raid5 *r, struct error *error);
void raid5_ppl_free(struct raid5 *r);

/* Before anything is written: carries out what the logs say, if the array is dirty, and empties them. If all was well there is
 * nothing left to resync. `look`: as raid5_journal_replay(). Suspends. 0, or the error of a member with `error` set. */
int raid5_ppl_replay(struct raid5 *r, bool look, struct error *error);

/*
 * Before a batch is written, once its parity is computed: it is in the log of the member with P, durably, when this returns. Until
 * raid5_ppl_end() no other takes its place, and what was written must be durable by then. A batch whose P has no member needs none. 0 or a
 * negative errno. Suspends.
 */
int raid5_ppl_begin(struct raid5_batch *batch);
void raid5_ppl_end(struct raid5_batch *batch);

/* Makes a member's log empty. Suspends. */
int raid5_ppl_clear(struct raid_member *member);

#endif
