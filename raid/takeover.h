/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels that have their data in the same places: one becomes the other by superblocks alone. */
#ifndef TENON_RAID_TAKEOVER_H
#define TENON_RAID_TAKEOVER_H

#include "raid/array.h"

/* Whether the data are in the same places in both: all of them, and the parity that both have. Of the sectors of members nothing is looked
 * at. Pure. */
bool raid_takeover_same(const struct raid_geometry *a, const struct raid_geometry *b);

/* The shape at the level that is asked for. 0; -EOPNOTSUPP, -EINVAL, -EBUSY, -ENODEV where that cannot be. */
int raid_takeover_plan(const struct raid_array *array, const struct raid_grow *grow,
		       struct raid_geometry *g, struct error *error);

/* Does it, with the array held still. Suspends. */
int raid_takeover(struct raid_array *array, const struct raid_geometry *g, struct error *error);

#endif
