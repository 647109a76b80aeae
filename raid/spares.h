/* SPDX-License-Identifier: BSD-2-Clause */
/* Spares, and where they go: to empty places, and beside members that are to be replaced. */
#ifndef TENON_RAID_SPARES_H
#define TENON_RAID_SPARES_H

#include "raid/array.h"

/* One that is large enough, and on `with` if that is not NULL; or NULL. */
struct raid_member *raid_spare_find(struct raid_array *array, const struct block *with);

/* Puts a spare beside a member that is in sync, whose place it is to get; a recovery fills it then. Suspends. 0, or a negative errno with
 * `error` set; -EIO where the spare was failed. */
int raid_spare_put_beside(struct raid_array *array, const struct raid_member *member,
			  struct raid_member *spare, struct error *error);

/* Whether there is a spare for a member that did not take a write, while no place is empty. */
bool raid_spares_wanted(struct raid_array *array);

/* Gives spares to empty places, and then to members that did not take a write. Superblocks know of them before they are written to.
 * Suspends. 0, or the error of the superblocks. */
int raid_spares_use(struct raid_array *array);

#endif
