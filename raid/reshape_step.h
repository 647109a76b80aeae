/* SPDX-License-Identifier: BSD-2-Clause */
/* What the levels' reshapes have in common, but for how data are moved: beginning, position, end. */
#ifndef TENON_RAID_RESHAPE_STEP_H
#define TENON_RAID_RESHAPE_STEP_H

#include "raid/array.h"

/* Before anything is moved: those that are new in the shape have all that it has of them, which is nothing. Again, where
 * superblocks could not be written. 0 or a negative errno. Suspends. */
int raid_reshape_settle(struct raid_array *array);

/* Whether it is a spare that would get a place in a larger shape; they are taken in order. Pure. */
bool raid_reshape_takes(const struct raid_array *array, const struct raid_member *member);

/* By how many sectors data move in the direction of the reshape, on the member where that is least. */
int64_t raid_reshape_room(const struct raid_array *array);

/* Superblocks say that all up to `position` has been moved, and what is being filled has its part of that, at `data_disks` to a row.
 * Should they not be written nobody relies on it, and the next ones that are say what was so before: no write is acknowledged
 * until then. 0 or a negative errno. Suspends. */
int raid_reshape_note(struct raid_array *array, uint64_t position, uint32_t data_disks);

/* Bytes [from, to) of the array could not be read in the old shape, by `read` (`rc`): finds where, and tells. `row`: bytes that have one parity.
 * Returns `rc`. Suspends. */
int raid_reshape_unread(struct raid_array *array, uint64_t from, uint64_t to, uint64_t row, int rc,
			int (*read)(struct raid_array *array, uint64_t offset, uint64_t length,
				    const struct iovec *iov, unsigned count));

/* The new shape is the only one, in memory: its members, and where their data begin. Nobody is in the array. */
void raid_reshape_over(struct raid_array *array);

/* Then, with array->sectors as they are: the block's size, and superblocks that say so. 0 or a negative errno. Suspends. */
int raid_reshape_say_over(struct raid_array *array);

#endif
