/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose word counts: which of several superblocks of one array is believed.
 *
 * Updates reach members one by one, and the power may go in between; a member may have been left out of a
 * start and know nothing of what came later; or each of two halves may have been started without the
 * other. What can be told apart by superblocks:
 *
 *	one update behind	all of its data is there: taken, with the role that the freshest gives it
 *	further behind, or left out of the freshest	stale: the array went on without it
 *	ran apart	it went on without the freshest as well, and without any that the freshest knows; or
 *			has the same event count with other content. Neither is a copy of the other, and
 *			nobody but the user can say which is to be kept
 *
 * Only a member that has all the data can be the freshest. Spares and members that are being rebuilt
 * carry superblocks too, and one of theirs may be the newest; it cannot stand in for the data, but it
 * can say that a member with data is out of the array, and then that one is not used, unless forced.
 */
#ifndef TENON_RAID_FRESHEST_H
#define TENON_RAID_FRESHEST_H

#include <stdbool.h>
#include <stdint.h>

#include "raid/md_superblock.h"

struct block;
struct error;

/* A device that is to be a member. */
struct raid_candidate {
	struct block *block, *meta; /* meta NULL: `block` */
	struct md_superblock sb;
	uint64_t least_bytes; /* it has less, and must have so much again; 0: it is large enough */
};

/* Whether, by its own superblock, it has all of the array's data. */
bool raid_candidate_has_data(const struct raid_candidate *candidate);

/* Whether `sb` knows the array without the device that `other` is the superblock of. */
bool raid_superblock_excludes(const struct md_superblock *sb, const struct md_superblock *other);

/* Whether `other` was a member in the update that wrote `sb`, as far as the two of them can tell. */
bool raid_superblock_includes(const struct md_superblock *sb, const struct md_superblock *other);

/*
 * The candidate to go by, never NULL. Where none with data may be used it is the one that says so, and
 * *newest is it as well; else *newest is the one with the most events, perhaps a spare. With `force`
 * the one with data and the most events, whatever others say.
 */
const struct raid_candidate *raid_find_freshest(const struct raid_candidate *candidates,
						unsigned count, bool force,
						const struct raid_candidate **newest);

/* -ESTALE with `error` set, naming both, where one with data ran apart from the freshest; else 0. */
int raid_check_apart(const struct raid_candidate *candidates, unsigned count, struct error *error);

#endif
