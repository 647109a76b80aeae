/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that assemble arrays share. */
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

/* ---- assemble_supported.c: 0, or an error ---- */

/* That all are of one array. */
int raid_check_same_array(const struct raid_candidate *candidates, unsigned count,
			  const struct raid_candidate *freshest, struct error *error);
/* -EOPNOTSUPP: it has what is not done here. */
int raid_check_supported(const struct md_superblock *sb, struct error *error);

/* ---- assemble_force.c ---- */

/* Of the members that were left out, those that must be taken as they are so that the array has all places that it needs:
 * the latest written first, and none that it could do without. Whether that is possible; *oldest is the one of
 * them that was written the longest ago. With `take` they are in sync then. Their bad-block logs are not read. */
bool raid_assemble_stale(struct raid_array *array, bool take, struct raid_member **oldest);
/* Those are taken, with their bad-block logs, and that is said. 0, or the error of a log that cannot be read. Suspends. */
int raid_assemble_take_stale(struct raid_array *array, struct error *error);

/* ---- assemble_missing.c ---- */

/* Says why the members that are there do not have all data, and what helps: -ENODEV. */
int raid_assemble_no_data(struct raid_array *array, const struct raid_candidate *candidates,
			  unsigned count, const struct raid_candidate *newest, struct error *error);
/* Counts the places that the freshest superblock has filled and that are not: -ENODEV for any, with `refuse_degraded`. */
int raid_assemble_complete(struct raid_array *array, const struct md_superblock *freshest,
			   bool refuse_degraded, struct error *error);
/* What was flushed last may be in a journal that is not there: -ENODEV, unless the options say what of it. */
int raid_assemble_journal(struct raid_array *array, const struct raid_assemble_options *options,
			  struct error *error);

#endif
