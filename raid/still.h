/* SPDX-License-Identifier: BSD-2-Clause */
/* An array held still, so that what everybody relies on can change: its bitmap, its size, its shape. */
#ifndef TENON_RAID_STILL_H
#define TENON_RAID_STILL_H

struct raid_array;

/* No request is in the array, no rebuild runs, no member comes or goes (the caller holds `membership`) and the daemon clears
 * nothing, until raid_go_on(). Suspends. */
void raid_hold_still(struct raid_array *array);
void raid_go_on(struct raid_array *array);

#endif
