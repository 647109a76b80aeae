/* SPDX-License-Identifier: BSD-2-Clause */
/* An array held still, so that what everybody relies on can change: its bitmap, its size, its shape. */
#ifndef TENON_RAID_STILL_H
#define TENON_RAID_STILL_H

#include <stdint.h>

struct error;
struct raid_array;

/* No request is in the array, no rebuild runs, no member comes or goes (the caller holds `membership`) and the daemon clears
 * nothing, until raid_go_on(). Suspends. */
void raid_hold_still(struct raid_array *array);
void raid_go_on(struct raid_array *array);

/* Runs change() with everything held still, or refuses: -EROFS, and -EBUSY while the array is reshaped, or a resync or the like runs. Suspends. */
int raid_while_still(struct raid_array *array, uint64_t arg,
		     int (*change)(struct raid_array *array, uint64_t arg, struct error *error),
		     struct error *error);

#endif
