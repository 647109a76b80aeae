/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resync, recovery, check and repair: one process for all levels that work. It goes over the members, or the
 * array, in windows, several at a time; the level locks them; leaves out what the bitmap calls clean; and writes down
 * how far it got, so that it can go on after a stop.
 */
#ifndef TENON_RAID_REBUILD_H
#define TENON_RAID_REBUILD_H

#include "raid/array.h"

void raid_rebuild_start(struct raid_array *array);
/* Something changed that may need or allow work. Does not suspend. */
void raid_rebuild_kick(struct raid_array *array);
/* Ends what runs at a checkpoint, and the fiber. Suspends. */
void raid_rebuild_stop(struct raid_array *array);
/* Locks what a level's sync() goes over, in its lock sectors. Suspends. 0, or -ECANCELED where the operation is to
 * end, and nothing is locked. */
int raid_sync_lock(struct raid_sync *sync, struct range_hold *hold, uint64_t sector,
		   uint64_t count);
/* A check found that members differ in these bytes, of the level's sync sectors; `role` is the place that is wrong, or
 * RAID_SPARE. Does not suspend. */
void raid_rebuild_found(struct raid_array *array, uint64_t offset, uint64_t length, int role);
/* Forgets the last check or repair: `operation` is the last one from now on, and has not come far. */
void raid_rebuild_scrub_begin(struct raid_rebuild *rebuild, enum raid_operation operation);
/* For simulations, which know what was never written: what `known` says of a range of sync sectors is believed, and
 * resync, recovery and scrub leave it out. It shortens *count to where its answer ends, and does not suspend. */
void raid_rebuild_know(struct raid_array *array,
		       bool (*known)(void *arg, uint64_t sector, uint64_t *count), void *arg);

void raid_rebuild_progress(const struct raid_array *array, struct raid_progress *progress);

#endif
