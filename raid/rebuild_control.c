/* SPDX-License-Identifier: BSD-2-Clause */
/* Rebuilds as others see them: progress, waiting, scrubbing, holding still. */
#include <errno.h>

#include "raid/array.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

#define SECOND_NS 1000000000ull

static uint64_t rate_since(uint64_t sectors, uint64_t ns)
{
	return ns ? (uint64_t)((double)sectors * MD_SECTOR_SIZE * SECOND_NS / (double)ns) : 0;
}

/* Over the last seconds, or since it began while that is not long ago. */
static uint64_t present_rate(const struct raid_rebuild *rebuild)
{
	uint64_t now = worker_now();

	if (rebuild->mark_count > 1)
		return rate_since(rebuild->completed - rebuild->marks[0].sectors,
				  now - rebuild->marks[0].ns);
	return rate_since(rebuild->completed - rebuild->began, now - rebuild->began_ns);
}

/* Whether there is a resync or recovery to do. */
static bool is_due(const struct raid_array *array)
{
	if (raid_level_maps(array->level))
		return false;
	if (raid_array_in_sync_below(array) != MD_RESYNC_DONE)
		return true;
	for (uint32_t i = 0; i < array->now.disks; i++) {
		const struct raid_place *place = &array->places[i];

		if (place->replacement ||
		    (place->member && place->member->state == RAID_MEMBER_REBUILDING))
			return true;
	}
	return false;
}

void raid_rebuild_progress(const struct raid_array *array, struct raid_progress *progress)
{
	const struct raid_rebuild *rebuild = &array->rebuild;

	*progress = (struct raid_progress){ .operation = rebuild->operation,
					    .last = rebuild->last,
					    .total = rebuild->total << MD_SECTOR_SHIFT,
					    .held = rebuild->held && is_due(array),
					    .scrub = rebuild->scrub,
					    .cut_short = rebuild->cut_short,
					    .scrubbed = rebuild->scrubbed << MD_SECTOR_SHIFT,
					    .to_scrub = array->sync_sectors << MD_SECTOR_SHIFT,
					    .mismatches = rebuild->mismatches,
					    .unresolved = rebuild->unresolved,
					    .skipped = rebuild->skipped,
					    .found = rebuild->found };
	if (rebuild->operation == RAID_IDLE) {
		progress->position = rebuild->last_completed << MD_SECTOR_SHIFT;
		progress->total =
			(rebuild->last == RAID_IDLE ? array->sync_sectors : rebuild->last_total)
			<< MD_SECTOR_SHIFT;
		progress->rate = rate_since(rebuild->last_sectors, rebuild->last_ns);
		return;
	}
	progress->position = MIN(rebuild->completed, rebuild->total) << MD_SECTOR_SHIFT;
	if (rebuild->operation == rebuild->scrub)
		progress->scrubbed = progress->position;
	progress->rate = present_rate(rebuild);
	if (progress->rate)
		progress->remaining_ns = (uint64_t)((double)(progress->total - progress->position) *
						    SECOND_NS / (double)progress->rate);
}

uint64_t raid_progress_left(const struct raid_progress *progress)
{
	if (progress->operation != RAID_IDLE ||
	    (progress->last != RAID_RESYNC && progress->last != RAID_RECOVER &&
	     progress->last != RAID_RESHAPE))
		return 0;
	return progress->total - progress->position;
}

/* Windows are in flight side by side, so that ranges may come out of order. */
void raid_rebuild_found(struct raid_array *array, uint64_t offset, uint64_t length, int role)
{
	struct raid_found *found = &array->rebuild.found;

	for (unsigned i = 0; i < MIN(found->count, RAID_FOUND); i++) {
		struct raid_mismatch *range = &found->ranges[i];

		if (range->role != role)
			continue;
		if (range->offset + range->length == offset) {
			range->length += length;
			return;
		}
		if (offset >= range->offset && offset + length <= range->offset + range->length)
			return;
	}
	if (found->count < RAID_FOUND)
		found->ranges[found->count] = (struct raid_mismatch){ offset, length, role };
	found->count++;
}

static int wait_until_idle(struct raid_array *array, raid_progress_fn *report, void *arg,
			   uint64_t interval_ns)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	while (!rebuild->idle || array->takes_level) {
		struct raid_progress progress;

		if (fiber_queue_wait(&rebuild->change, interval_ns) == -ECANCELED)
			return -ECANCELED;
		raid_rebuild_progress(array, &progress);
		if (report && !report(&progress, arg))
			return -ECANCELED;
	}
	return rebuild->failed ? -EIO : 0;
}

/* Parity that cannot be computed from what is there can be from all of a row. */
static void say_unread(const struct raid_array *array, struct error *error)
{
	const struct raid_rebuild *rebuild = &array->rebuild;
	uint64_t row = rebuild->unread_at / rebuild->unread_row * rebuild->unread_row;
	/* With fewer members the array may end in the middle of one. */
	uint64_t end = MIN(row + rebuild->unread_row, array->block.size);

	error_set(error, -EIO,
		  "%s: its reshape stands, and has harmed nothing: it came to byte %llu, which no "
		  "member has",
		  array->block.name, (unsigned long long)rebuild->unread_at);
	error_advise(error,
		     "give a member that is missing; or, if that is lost, write bytes %llu to %llu "
		     "anew, in one request; `tenon raid rebuild %s` goes on then",
		     (unsigned long long)row, (unsigned long long)(end - 1), array->name);
}

int raid_rebuild_wait(struct raid_array *array, raid_progress_fn *report, void *arg,
		      uint64_t interval_ns, struct error *error)
{
	int rc;

	/* Counts as a request, so that raid_stop() does not pull the array away. */
	array->requests++;
	rc = wait_until_idle(array, report, arg, interval_ns);
	if (rc == -EIO && array->rebuild.unread)
		say_unread(array, error);
	else if (rc == -EIO)
		error_set(error, rc, "%s: %s ended with an error: %s", array->block.name,
			  raid_operation_name(array->rebuild.last),
			  error_name(array->rebuild.status ? array->rebuild.status : rc));
	else if (rc)
		error_set(error, rc, "%s: waiting was ended", array->block.name);
	if (--array->requests == 0)
		fiber_queue_wake_all(&array->requests_queue);
	return rc;
}

int raid_scrub_check(const struct raid_array *array, struct error *error)
{
	const struct raid_rebuild *rebuild = &array->rebuild;

	if (raid_level_maps(array->level))
		return error_set(error, -EOPNOTSUPP,
				 "%s keeps its data once: there is nothing to compare",
				 array->block.name);
	if (rebuild->operation != RAID_IDLE || rebuild->wanted != RAID_IDLE)
		return error_set(error, -EBUSY, "%s: %s is running", array->block.name,
				 raid_operation_name(rebuild->operation != RAID_IDLE
							     ? rebuild->operation
							     : rebuild->wanted));
	if (rebuild->frozen)
		return error_set(error, -EBUSY, "%s is held still: nothing can be started",
				 array->block.name);
	/* It would wait for ever, and look as if it were over. */
	if (!raid_array_survives(array))
		return error_set(error, -EIO, "%s: its members do not have all data any more",
				 array->block.name);
	return 0;
}

int raid_scrub_start(struct raid_array *array, bool repair, struct error *error)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	int rc;

	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	rc = raid_scrub_check(array, error);
	if (rc)
		return rc;
	rebuild->force = false;
	rebuild->wanted = repair ? RAID_REPAIR : RAID_CHECK;
	raid_rebuild_kick(array);
	return 0;
}

int raid_repair_anyway(struct raid_array *array, struct error *error)
{
	int rc = raid_scrub_start(array, true, error);

	if (!rc)
		array->rebuild.force = true;
	return rc;
}

/* Whoever waits for it learns that it never was. */
static void drop_wanted(struct raid_rebuild *rebuild)
{
	if (rebuild->wanted != RAID_IDLE)
		raid_rebuild_scrub_begin(rebuild, rebuild->wanted);
	rebuild->wanted = RAID_IDLE;
}

int raid_sync_stop(struct raid_array *array, enum raid_operation *stopped, struct error *error)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	*stopped = rebuild->operation != RAID_IDLE ? rebuild->operation : rebuild->wanted;
	drop_wanted(rebuild);
	/* A resync or recovery that is due would take the place of a check. */
	rebuild->held = is_due(array);
	array->requests++;
	while (rebuild->operation != RAID_IDLE) {
		rebuild->stop = true;
		fiber_queue_wait_always(&rebuild->change);
	}
	if (--array->requests == 0)
		fiber_queue_wake_all(&array->requests_queue);
	return 0;
}

void raid_sync_resume(struct raid_array *array)
{
	array->rebuild.held = array->rebuild.disabled = false;
	raid_rebuild_kick(array);
}

void raid_rebuild_freeze(struct raid_array *array, bool freeze)
{
	array->rebuild.frozen = freeze;
	if (freeze)
		drop_wanted(&array->rebuild);
	else
		array->rebuild.disabled = false;
	raid_rebuild_kick(array);
}
