/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request that goes to several members: its legs, started together and waited for once.
 *
 * For data. Each leg is waited for, whatever becomes of its member meanwhile, since the memory that it reads or
 * writes is somebody else's. What must not wait for a member that was failed (superblocks, bitmaps, flushes)
 * goes by raid_members_each().
 */
#ifndef TENON_RAID_LEGS_H
#define TENON_RAID_LEGS_H

#include "block/block.h"
#include "util/cleanup.h"

struct raid_member;

#define RAID_LEGS_FEW 8u

struct raid_legs {
	unsigned count;
	struct block_io *ios; /* `result` is each leg's after raid_legs_run() */
	struct raid_member **members;
	struct block_io few_ios[RAID_LEGS_FEW];
	struct raid_member *few_members[RAID_LEGS_FEW];
};

/* Room for so many legs. 0 or -ENOMEM, after which raid_legs_end() is fine. */
int raid_legs_begin(struct raid_legs *legs, unsigned capacity);

/* Adds a leg: `io` without block, its offset counted from the start of the member's data. The member is held
 * from now on. */
void raid_legs_add(struct raid_legs *legs, struct raid_member *member, const struct block_io *io);

/* Does them all. Suspends. */
void raid_legs_run(struct raid_legs *legs);

/* Lets go of the members. */
void raid_legs_end(struct raid_legs *legs);
#define CLEANUP_RAID_LEGS CLEANUP(raid_legs_end)

#endif
