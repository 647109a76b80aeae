/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files that assemble arrays share. */
#ifndef TENON_RAID_ASSEMBLE_H
#define TENON_RAID_ASSEMBLE_H

#include "raid/array.h"
#include "raid/freshest.h"

/* The rest of raid_assemble(), once their superblocks are known. */
int raid_assemble_candidates(struct raid_array **out, const struct raid_candidate *candidates,
			     unsigned count, const struct raid_assemble_options *options,
			     struct error *error);

/* Makes a member of each candidate, in the state that `view`, what the freshest superblock says, gives it. The freshest
 * comes first, so that of two claimants of a number or a place it is the one that stays. 0 or a negative errno
 * with `error` set. Suspends. */
int raid_assemble_members(struct raid_array *array, const struct raid_candidate *candidates,
			  unsigned count, const struct raid_candidate *freshest,
			  const struct md_superblock *view, struct error *error);

/* Of the members that were left out, those that must be taken as they are so that the array has all places that it needs:
 * the latest written first, and none that it could do without. Whether that is possible; *oldest is the one of
 * them that was written the longest ago. With `take` they are in sync then. Their bad-block logs are not read. */
bool raid_assemble_stale(struct raid_array *array, bool take, struct raid_member **oldest);

#endif
