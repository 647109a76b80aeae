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

void raid_rebuild_progress(const struct raid_array *array, struct raid_progress *progress)
{
	const struct raid_rebuild *rebuild = &array->rebuild;

	*progress = (struct raid_progress){ .operation = rebuild->operation,
					    .last = rebuild->last,
					    .total = rebuild->total << MD_SECTOR_SHIFT,
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
	progress->rate = present_rate(rebuild);
	if (progress->rate)
		progress->remaining_ns = (uint64_t)((double)(progress->total - progress->position) *
						    SECOND_NS / (double)progress->rate);
}

/* Windows are in flight side by side, so that ranges may come out of order. */
void raid_rebuild_found(struct raid_array *array, uint64_t offset, uint64_t length)
{
	struct raid_found *found = &array->rebuild.found;

	for (unsigned i = 0; i < MIN(found->count, RAID_FOUND); i++) {
		struct raid_range *range = &found->ranges[i];

		if (range->offset + range->length == offset) {
			range->length += length;
			return;
		}
		if (offset >= range->offset && offset + length <= range->offset + range->length)
			return;
	}
	if (found->count < RAID_FOUND)
		found->ranges[found->count] = (struct raid_range){ offset, length };
	found->count++;
}

static int wait_until_idle(struct raid_array *array, raid_progress_fn *report, void *arg,
			   uint64_t interval_ns)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	while (!rebuild->idle) {
		struct raid_progress progress;

		if (fiber_queue_wait(&rebuild->change, interval_ns) == -ECANCELED)
			return -ECANCELED;
		raid_rebuild_progress(array, &progress);
		if (report && !report(&progress, arg))
			return -ECANCELED;
	}
	return rebuild->failed ? -EIO : 0;
}

int raid_rebuild_wait(struct raid_array *array, raid_progress_fn *report, void *arg,
		      uint64_t interval_ns, struct error *error)
{
	int rc;

	/* Counts as a request, so that raid_stop() does not pull the array away. */
	array->requests++;
	rc = wait_until_idle(array, report, arg, interval_ns);
	if (rc == -EIO)
		error_set(error, rc, "%s: %s ended with an error: %s", array->block.name,
			  raid_operation_name(array->rebuild.last),
			  error_name(array->rebuild.status ? array->rebuild.status : rc));
	else if (rc)
		error_set(error, rc, "%s: waiting was ended", array->block.name);
	if (--array->requests == 0)
		fiber_queue_wake_all(&array->requests_queue);
	return rc;
}

int raid_scrub_start(struct raid_array *array, bool repair, struct error *error)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	if (array->block.read_only)
		return error_set(error, -EROFS, "%s is assembled read-only", array->block.name);
	if (raid_level_maps(array->level))
		return error_set(error, -EOPNOTSUPP,
				 "%s keeps its data once: there is nothing to compare",
				 array->block.name);
	if (rebuild->operation != RAID_IDLE || rebuild->wanted != RAID_IDLE)
		return error_set(error, -EBUSY, "%s: %s is running", array->block.name,
				 raid_operation_name(rebuild->operation != RAID_IDLE
							     ? rebuild->operation
							     : rebuild->wanted));
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

void raid_rebuild_freeze(struct raid_array *array, bool freeze)
{
	array->rebuild.frozen = freeze;
	if (freeze)
		array->rebuild.wanted = RAID_IDLE;
	else
		array->rebuild.disabled = false;
	raid_rebuild_kick(array);
}

void raid_rebuild_set_rate(struct raid_array *array, uint64_t bytes_per_second)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	rebuild->rate_limit = bytes_per_second;
	rebuild->rate_start_ns = worker_now();
	rebuild->rate_bytes = 0;
}
