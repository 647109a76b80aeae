/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files that assemble arrays share. */
#ifndef TENON_RAID_ASSEMBLE_H
#define TENON_RAID_ASSEMBLE_H

#include "raid/array.h"
#include "raid/freshest.h"

/* Makes a member of each candidate, in the state that `view`, what the freshest superblock says, gives it. The freshest
 * comes first, so that of two claimants of a number or a place it is the one that stays. 0 or a negative errno
 * with `error` set. Suspends. */
int raid_assemble_members(struct raid_array *array, const struct raid_candidate *candidates,
			  unsigned count, const struct raid_candidate *freshest,
			  const struct md_superblock *view, struct error *error);

#endif
