/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a write journal says, while it is carried out: between raid5_replay_scan.c, which reads the ring, and raid5_replay.c, which does what is
 * there.
 */
#ifndef TENON_RAID_RAID5_REPLAY_H
#define TENON_RAID_RAID5_REPLAY_H

#include "raid/raid5_journal.h"

#define RAID5_REPLAY_NOWHERE UINT64_MAX
#define RAID5_REPLAY_BUCKETS 4096u

/* One column of a stripe, of a block of each member. */
struct raid5_replay_column {
	struct raid5_replay_column *next, *chain;
	uint64_t sector;      /* of the members' data */
	uint64_t *pending;    /* sectors of the ring, by role, or RAID5_REPLAY_NOWHERE */
	uint64_t committed[]; /* the same */
};

struct raid5_replay {
	struct raid5 *r;
	struct raid5_journal *journal;
	bool look;
	uint64_t at, sequence; /* what comes next */
	struct raid5_replay_column *first, **end, *buckets[RAID5_REPLAY_BUCKETS];
	uint8_t *pages;             /* of one meta block, as many as it may have */
	unsigned columns, computed; /* that were written */
	uint8_t meta[MD_JOURNAL_BLOCK] __attribute__((aligned(512)));
};

/* All of these that read suspend, and return a negative errno where that fails. */

/* The tail that the superblock has. 1; 0: no journal begins there. */
int raid5_replay_find_tail(struct raid5_replay *replay);
/* From there on, as far as it goes: fills in the columns, and goes to where the next meta block would be. 0. */
int raid5_replay_scan(struct raid5_replay *replay);
/* Blocks of the ring from sector `at` on. 0. */
int raid5_replay_read(const struct raid5_replay *replay, uint64_t at, uint8_t *to, unsigned blocks);
/* Frees the columns. */
void raid5_replay_forget(struct raid5_replay *replay);

/* The row of a member's sector. */
struct raid5_row raid5_replay_row(const struct raid5_replay *replay, uint64_t sector);

#endif
