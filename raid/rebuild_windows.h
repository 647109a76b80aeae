/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files that do a resync, recovery or scrub share. */
#ifndef TENON_RAID_REBUILD_WINDOWS_H
#define TENON_RAID_REBUILD_WINDOWS_H

#include "raid/array.h"

/* Whether the recovery that runs fills this member (NULL: none). One that failed and came back meanwhile is none any
 * more: it begins anew. */
bool raid_rebuild_is_target(const struct raid_member *member);

/* Whether the operation that runs is to end before it is through. */
bool raid_rebuild_must_end(const struct raid_array *array);

/* Goes over all that is left of the operation; `status` of the rebuild says how that went. Suspends. */
void raid_rebuild_windows(struct raid_array *array);

/* Before the first window; before each, which it holds up as the speed wants; and around the level's work on it
 * (rebuild_speed.c). The second suspends. */
void raid_rebuild_speed_begin(struct raid_array *array);
void raid_rebuild_throttle(struct raid_array *array, uint64_t bytes);
/* How many sectors the next one has at most: few while there are requests, which come behind it on the disks, as long as the floor is
 * kept so. */
uint64_t raid_rebuild_window(struct raid_array *array);

/* Notes the present rate, how far everything is done, and (as mdadm's monitor tells it) each fifth of it. None suspends. */
void raid_rebuild_mark(struct raid_array *array);
void raid_rebuild_completed(struct raid_array *array);
void raid_rebuild_percent_begin(struct raid_array *array);
void raid_rebuild_tell_percent(struct raid_array *array);

/* Superblocks say how far it got. Suspends. 0 or the error of the update. */
int raid_rebuild_checkpoint(struct raid_array *array);

#endif
