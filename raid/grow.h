/* SPDX-License-Identifier: BSD-2-Clause */
/* What growing in place and reshaping share. */
#ifndef TENON_RAID_GROW_H
#define TENON_RAID_GROW_H

#include "raid/array.h"

/* How data move to another shape. */
struct raid_move {
	uint64_t height;  /* sectors that they move at least */
	int32_t offset;   /* by so many they do; above 0: upwards, beginning with the last */
	uint64_t sectors; /* that are used of each member then */
	uint64_t area;    /* in place, with backups of so many sectors; 0: no */
};

/* By how much data move on all members, from one shape to the other. -ENOSPC with `error` set where there is no room. */
int raid_reshape_move(const struct raid_array *array, const struct raid_geometry *from,
		      const struct raid_geometry *to, bool has_backup, struct raid_move *move,
		      struct error *error);

/* The shape that is asked for, and whether data would have to move for it. 0; -EOPNOTSUPP, -ENOSPC and the like where that
 * cannot be done. */
int raid_reshape_plan(const struct raid_array *array, const struct raid_grow *grow,
		      struct raid_geometry *g, bool *wanted, struct error *error);

/* The same from the shape that it has by then, which may be of another level. */
int raid_reshape_plan_from(const struct raid_array *array, const struct raid_geometry *from,
			   const struct raid_grow *grow, struct raid_geometry *g, bool *wanted,
			   struct error *error);

/* The same, of another layout that the array goes to when it has taken over another level: from's shape. */
int raid_reshape_plan_after(const struct raid_array *array, const struct raid_geometry *from,
			    const struct raid_grow *grow, struct raid_geometry *g, bool *wanted,
			    struct error *error);

/* At assembly, where members are known: what superblocks say of a level that is to come. Once the array runs it is taken when data have been moved, or at
 * once. */
void raid_grow_load(struct raid_array *array, uint8_t next);
void raid_grow_resume(struct raid_array *array);

/* Writes to so many spares, as far as there are, that are to be members, before anything has changed: with one that cannot be written the
 * new shape would begin degraded. 0, or a negative errno with `error` set. Suspends. */
int raid_reshape_prepare(struct raid_array *array, unsigned count, struct error *error);

/* Then: only what would be parity is missing. */
bool raid_is_parity_only_missing(const struct raid_array *array);

/* Begins it, with the array held still: superblocks say so when it returns, and nothing has been moved. `backup`: a file for one in place, or
 * NULL. Suspends. */
int raid_reshape_begin(struct raid_array *array, const struct raid_geometry *g,
		       struct block *backup, struct error *error);

#endif
