/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resync, recovery, check and repair; see rebuild.h. What is to be done is decided in the same order as
 * the kernel's (md_check_recovery()): first fill empty places, then make the members agree, then what
 * was asked for.
 *
 *	idle --work()--> recover | resync | check | repair --finish() or checkpoint()--> idle
 *
 * One fiber decides and begins, and ends what it began; `operation` is its alone. While one runs, windows take
 * parts from `next` on, and `completed` is where everything before has ended. Others only ask: `wanted`, `stop`,
 * `frozen`, `held`, and raid_rebuild_kick(), after which what failed is tried again. What a check or repair found stays
 * until the next one begins.
 *
 * Why no crash loses data. A member that is filled gets all writes, wherever the filling is, and under the same
 * lock: below `completed` it stays right. Superblocks say a position only after a flush of all members that
 * began after it was reached (super.c), and that a member is in sync only once all of it was copied and flushed.
 * So a crash leaves positions that are too low, and something is copied again. A resync overwrites only what
 * differs between members, from the one that reads go to meanwhile; while the array is dirty its superblocks say
 * that a resync is due from the start (or from what the bitmap says).
 */
#include "raid/rebuild.h"

#include <errno.h>
#include <stdio.h>

#include "raid/intent.h"
#include "raid/rebuild_windows.h"
#include "raid/spares.h"
#include "util/bytes.h"

static bool is_scrub(enum raid_operation operation)
{
	return operation == RAID_CHECK || operation == RAID_REPAIR;
}

/* ---- One operation ---- */

/* As mdadm's monitor says it: the differences in sectors; and before it says who went and who came. Once. */
static void tell_end(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	char text[80];

	if (rebuild->told_end)
		return;
	rebuild->told_end = true;
	snprintf(text, sizeof(text), "mismatches found: %llu (on raid level %d)",
		 (unsigned long long)rebuild->mismatches >> MD_SECTOR_SHIFT, array->now.level);
	raid_event_note(array, "RebuildFinished",
			is_scrub(rebuild->operation) && rebuild->mismatches ? text : NULL);
}

/* Those that were being filled, and are in sync now or take another's place. */
static void tell_filled(struct raid_array *array)
{
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (!member->target || !raid_member_active(member))
			continue;
		raid_event_note(array, "SpareActive", member->block->name);
		member->target = member->state == RAID_MEMBER_REBUILDING;
	}
}

/* What was copied is durable before any superblock says so. One that replaces another is known to have all
 * data before the other is known to be out: a crash between the two loses neither. */
static int finish_recovery(struct raid_array *array)
{
	bool replaced = false;
	int rc = raid_members_flush(array);

	if (rc)
		return rc;
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (!raid_rebuild_is_target(member))
			continue;
		if (member->replaces)
			member->filled = replaced = true;
		else
			member->state = RAID_MEMBER_IN_SYNC;
	}
	rc = raid_super_update(array);
	if (rc)
		return rc;
	tell_end(array);
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_member *replacement = array->places[i].replacement;

		if (replacement && replacement->filled)
			raid_place_exchange(array, i);
	}
	tell_filled(array);
	return replaced ? raid_super_settle(array) : 0;
}

/* Everything was gone over. */
static int finish(struct raid_array *array)
{
	int rc = 0;

	switch (array->rebuild.operation) {
	case RAID_RECOVER:
		rc = finish_recovery(array);
		break;
	case RAID_RESYNC:
	case RAID_REPAIR:
		if (array->rebuild.operation == RAID_RESYNC)
			array->resync_position = MD_RESYNC_DONE;
		array->resync_checkpoint = raid_array_in_sync_below(array);
		array->resync_by_bitmap =
			array->resync_by_bitmap && array->resync_checkpoint != MD_RESYNC_DONE;
		rc = raid_super_update(array);
		break;
	default:
		return 0;
	}
	if (!rc && array->intent && !raid_array_degraded(array) &&
	    raid_array_in_sync_below(array) == MD_RESYNC_DONE)
		raid_intent_synced(array->intent);
	return rc;
}

void raid_rebuild_scrub_begin(struct raid_rebuild *rebuild, enum raid_operation operation)
{
	rebuild->scrub = operation;
	/* Until it is through. */
	rebuild->cut_short = true;
	rebuild->scrubbed = 0;
	rebuild->mismatches = rebuild->unresolved = rebuild->skipped = 0;
	rebuild->found = (struct raid_found){ .count = 0 };
}

/* Part by part, each of which is on the disks when the next one begins. */
static void reshape(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	int rc = 1;

	while (rc > 0 && !raid_rebuild_must_end(array)) {
		rc = array->level->reshape(array);
		rebuild->next = rc ? raid_reshape_moved(array) : rebuild->total;
		raid_rebuild_throttle(array, (rebuild->next - rebuild->completed)
						     << MD_SECTOR_SHIFT);
		rebuild->completed = rebuild->next;
		raid_rebuild_tell_percent(array);
		raid_rebuild_mark(array);
		fiber_yield();
	}
	rebuild->status = MIN(rc, 0);
}

static void begin(struct raid_array *array, enum raid_operation operation, uint64_t start)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	rebuild->operation = operation;
	rebuild->stop = false;
	rebuild->status = 0;
	rebuild->unread = false;
	rebuild->next = rebuild->completed = rebuild->saved = rebuild->began = start;
	rebuild->total = operation == RAID_RECOVER   ? array->now.member_sectors
			 : operation == RAID_RESHAPE ? raid_reshape_whole(array)
						     : array->sync_sectors;
	rebuild->saved_ns = rebuild->began_ns = worker_now();
	raid_rebuild_speed_begin(array);
	rebuild->mark_count = 0;
	raid_rebuild_percent_begin(array);
	rebuild->told_end = false;
	if (is_scrub(operation))
		raid_rebuild_scrub_begin(rebuild, operation);
	for (unsigned i = 0; i < RAID_REBUILD_WINDOWS; i++)
		rebuild->busy[i] = UINT64_MAX;
	log_info(array->log, "%s: %s begins at byte %llu", array->block.name,
		 raid_operation_name(operation), (unsigned long long)start << MD_SECTOR_SHIFT);
	raid_event_note(array, "RebuildStarted", NULL);
	raid_rebuild_mark(array);
}

static void run(struct raid_array *array, enum raid_operation operation, uint64_t start)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	int rc;

	begin(array, operation, start);
	if (operation == RAID_RESHAPE)
		reshape(array);
	else
		raid_rebuild_windows(array);
	rc = rebuild->status;
	/* Who was to end may have been let go on again meanwhile: it is over only where all was gone over. */
	if (!rc && rebuild->completed >= rebuild->total && !raid_rebuild_must_end(array))
		rc = finish(array);
	else if (!rc)
		rc = raid_rebuild_checkpoint(array);
	/* A member lost on the way is no failure while there is another to go on with. */
	rebuild->failed = rc != 0;
	log_info(array->log, "%s: %s %s at byte %llu", array->block.name,
		 raid_operation_name(operation), rc ? error_name(rc) : "ends",
		 (unsigned long long)rebuild->completed << MD_SECTOR_SHIFT);
	if (is_scrub(operation)) {
		rebuild->scrubbed = rebuild->completed;
		rebuild->cut_short = rc || rebuild->completed < rebuild->total;
	}
	rebuild->last = operation;
	rebuild->last_completed = MIN(rebuild->completed, rebuild->total);
	rebuild->last_total = rebuild->total;
	rebuild->last_ns = worker_now() - rebuild->began_ns;
	rebuild->last_sectors = rebuild->completed - rebuild->began;
	tell_end(array);
	rebuild->operation = RAID_IDLE;
	fiber_queue_wake_all(&rebuild->change);
}

/* ---- What to do ---- */

/* Whoever has a place and lacks data; false when there is nobody. */
static bool choose_targets(struct raid_array *array, uint64_t *start)
{
	bool any = false;

	*start = array->now.member_sectors;
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (member->state != RAID_MEMBER_REBUILDING)
			continue;
		member->target = any = true;
		*start = MIN(*start, member->recovered);
	}
	return any;
}

/* Decides, and does it. False when there is nothing to do. */
static bool work(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	enum raid_operation wanted;
	uint64_t start;

	if (rebuild->frozen || !raid_array_survives(array))
		return false;
	/* It is level 4 only on its way, without parity that anybody wants. */
	if (raid_is_level_0_on_its_way(array) && !array->reshaping)
		return false;
	/* Where members' data are has to be one thing for all that goes over them. */
	if (array->reshaping) {
		if (rebuild->disabled || rebuild->failed || rebuild->held)
			return false;
		run(array, RAID_RESHAPE, raid_reshape_moved(array));
		return true;
	}
	if (!rebuild->disabled && !rebuild->failed && !rebuild->held) {
		if (raid_array_degraded(array) || array->replacements ||
		    raid_spares_wanted(array)) {
			/* Nobody is filled whom no superblock with data knows: should those fail, it would
			 * look like a half that ran apart. */
			rebuild->failed = raid_spares_use(array) || raid_super_settle(array);
			if (rebuild->failed)
				return false;
			if (choose_targets(array, &start)) {
				run(array, RAID_RECOVER, start);
				return true;
			}
		}
		if (raid_array_in_sync_below(array) != MD_RESYNC_DONE) {
			start = raid_array_in_sync_below(array);
			array->resync_position = start;
			array->resync_from = MD_RESYNC_DONE;
			run(array, RAID_RESYNC, start);
			return true;
		}
	}
	wanted = rebuild->wanted;
	if (wanted != RAID_IDLE) {
		rebuild->wanted = RAID_IDLE;
		run(array, wanted, 0);
		return true;
	}
	return false;
}

static int rebuild_fiber(void *arg)
{
	struct raid_array *array = arg;
	struct raid_rebuild *rebuild = &array->rebuild;

	while (!array->stopping) {
		if (work(array))
			continue;
		if (array->stopping)
			break;
		rebuild->idle = true;
		fiber_queue_wake_all(&rebuild->change);
		while (rebuild->idle && !array->stopping)
			fiber_queue_wait_always(&rebuild->work);
	}
	rebuild->idle = true;
	fiber_queue_wake_all(&rebuild->change);
	return 0;
}

static void array_changed(struct raid_watch *watch, enum raid_change change)
{
	struct raid_array *array = container_of(watch, struct raid_array, rebuild_watch);

	if (change == RAID_CHANGED_LOST)
		array->rebuild.held = false;
	if (change == RAID_CHANGED_LOST || change == RAID_CHANGED_APART ||
	    change == RAID_CHANGED_WRITABLE || change == RAID_CHANGED_WANTING)
		raid_rebuild_kick(array);
}

void raid_rebuild_start(struct raid_array *array)
{
	array->rebuild_watch.changed = array_changed;
	raid_array_watch(array, &array->rebuild_watch);
	array->rebuild.idle = false;
	array->rebuild.fiber = fiber_spawn(rebuild_fiber, array);
}

void raid_rebuild_kick(struct raid_array *array)
{
	array->rebuild.failed = false;
	if (!array->rebuild.fiber)
		return;
	array->rebuild.idle = false;
	fiber_queue_wake_all(&array->rebuild.work);
}

void raid_rebuild_stop(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	if (!rebuild->fiber)
		return;
	array->stopping = true;
	rebuild->stop = true;
	fiber_queue_wake_all(&rebuild->work);
	fiber_join(rebuild->fiber);
	rebuild->fiber = NULL;
}
