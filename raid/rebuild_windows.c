/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The windows of a resync, recovery or scrub, several at a time, and how far they came; see rebuild.h and the states in
 * rebuild.c.
 */
#include "raid/rebuild_windows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raid/intent.h"
#include "raid/rebuild.h"
#include "util/bytes.h"

#define SECOND_NS       1000000000ull
#define CHECKPOINT_NS   (30 * SECOND_NS)
#define CHECKPOINT_PART 16 /* of the whole */
#define WINDOW_BYTES    (RAID_REBUILD_SECTORS * MD_SECTOR_SIZE)

/* ---- Progress ---- */

void raid_rebuild_mark(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	uint64_t now = worker_now();
	unsigned last = rebuild->mark_count - 1;

	if (rebuild->mark_count && now - rebuild->marks[last].ns < SECOND_NS / 2)
		return;
	if (rebuild->mark_count == RAID_RATE_MARKS) {
		memmove(&rebuild->marks[0], &rebuild->marks[1],
			(RAID_RATE_MARKS - 1) * sizeof(rebuild->marks[0]));
		rebuild->mark_count--;
	}
	rebuild->marks[rebuild->mark_count].ns = now;
	rebuild->marks[rebuild->mark_count].sectors = rebuild->completed;
	rebuild->mark_count++;
	fiber_queue_wake_all(&rebuild->change);
}

static unsigned done_percent(const struct raid_rebuild *rebuild)
{
	return 20 * (unsigned)(5 * rebuild->completed / MAX(rebuild->total, 1u));
}

/* Not of those that were done when it began. */
void raid_rebuild_percent_begin(struct raid_array *array)
{
	array->rebuild.told_percent = done_percent(&array->rebuild);
}

void raid_rebuild_tell_percent(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	unsigned percent = done_percent(rebuild);
	char name[20];

	if (percent <= rebuild->told_percent || percent >= 100)
		return;
	rebuild->told_percent = percent;
	snprintf(name, sizeof(name), "Rebuild%u", percent);
	raid_event_note(array, name, NULL);
}

/* Where all before is done: the lowest window in flight, or what comes next. */
void raid_rebuild_completed(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	uint64_t completed = rebuild->next;

	for (unsigned i = 0; i < RAID_REBUILD_WINDOWS; i++)
		completed = MIN(completed, rebuild->busy[i]);
	rebuild->completed = completed;
	raid_rebuild_tell_percent(array);
	if (rebuild->operation == RAID_RESYNC)
		array->resync_position = completed;
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (rebuild->operation == RAID_RECOVER && raid_rebuild_is_target(member))
			member->recovered = MAX(member->recovered, completed);
	}
	raid_rebuild_mark(array);
}

/* Superblocks say how far it got; the update flushes first, and only what was done before is said. */
int raid_rebuild_checkpoint(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	rebuild->saved = rebuild->completed;
	rebuild->saved_ns = worker_now();
	if (rebuild->operation == RAID_RESYNC)
		array->resync_checkpoint = MIN(rebuild->completed, array->resync_from);
	else if (rebuild->operation != RAID_RECOVER)
		return 0;
	list_for_each(at, &array->members) {
		struct raid_member *member = list_entry(at, struct raid_member, node);

		if (rebuild->operation == RAID_RECOVER && raid_rebuild_is_target(member))
			member->checkpoint = member->recovered;
	}
	return raid_super_update(array);
}

static bool checkpoint_is_due(const struct raid_rebuild *rebuild)
{
	return rebuild->completed - rebuild->saved >= rebuild->total / CHECKPOINT_PART ||
	       worker_now() - rebuild->saved_ns >= CHECKPOINT_NS;
}

/* ---- Windows ---- */

static bool member_may_skip(const struct raid_array *array, const struct raid_member *member,
			    uint64_t sector, uint64_t *count)
{
	if (sector >= member->full_from)
		return false;
	*count = MIN(*count, member->full_from - sector);
	if (array->level->sync_sector)
		sector = array->level->sync_sector(array, member, sector, count);
	return sector == UINT64_MAX || !raid_intent_is_set(array->intent, sector, count);
}

/* Whether the bitmap lets us leave out [sector, sector + *count); shortens *count to where the answer
 * ends. */
static bool may_skip(const struct raid_array *array, uint64_t sector, uint64_t *count)
{
	const struct raid_rebuild *rebuild = &array->rebuild;

	if (rebuild->known && rebuild->known(rebuild->known_arg, sector, count))
		return true;
	if (!array->intent ||
	    (rebuild->operation != RAID_RESYNC && rebuild->operation != RAID_RECOVER))
		return false;
	if (rebuild->operation == RAID_RESYNC)
		return !raid_intent_is_set(array->intent, sector, count);
	list_for_each(at, &array->members) {
		const struct raid_member *member = list_entry(at, struct raid_member, node);

		if (raid_rebuild_is_target(member) &&
		    !member_may_skip(array, member, sector, count))
			return false;
	}
	return true;
}

void raid_rebuild_know(struct raid_array *array,
		       bool (*known)(void *arg, uint64_t sector, uint64_t *count), void *arg)
{
	array->rebuild.known = known;
	array->rebuild.known_arg = arg;
}

/* Finds the next window; 0 when there is none. */
static uint64_t take_window(struct raid_array *array, uint64_t *sector)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	uint64_t most = raid_rebuild_window(array);

	while (rebuild->next < rebuild->total) {
		uint64_t count = rebuild->total - rebuild->next;

		*sector = rebuild->next;
		if (may_skip(array, *sector, &count)) {
			rebuild->next += count;
			array->counters.skipped_bytes += count << MD_SECTOR_SHIFT;
			continue;
		}
		count = MIN(count, most - *sector % most);
		rebuild->next += count;
		return count;
	}
	return 0;
}

int raid_sync_lock(struct raid_sync *sync, struct range_hold *hold, uint64_t sector, uint64_t count)
{
	struct raid_array *array = sync->array;

	range_lock(&array->ranges, hold, sector, sector + count);
	if (!raid_rebuild_must_end(array))
		return 0;
	range_unlock(&array->ranges, hold);
	return -ECANCELED;
}

struct window {
	struct raid_array *array;
	unsigned index;
};

static int run_windows(struct raid_array *array, unsigned index, struct raid_sync *sync)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	int rc = 0;

	while (!rc && !raid_rebuild_must_end(array)) {
		sync->count = take_window(array, &sync->sector);
		if (!sync->count)
			break;
		rebuild->busy[index] = sync->sector;
		raid_rebuild_throttle(array, sync->count << MD_SECTOR_SHIFT);
		sync->mismatches = sync->unresolved = sync->skipped = 0;
		rebuild->running++;
		rc = raid_rebuild_must_end(array) ? -ECANCELED : array->level->sync(array, sync);
		rebuild->running--;
		rebuild->mismatches += sync->mismatches;
		rebuild->unresolved += sync->unresolved;
		rebuild->skipped += sync->skipped;
		if (rc)
			break; /* stays busy: what is completed ends here */
		rebuild->busy[index] = UINT64_MAX;
		raid_rebuild_completed(array);
		if (checkpoint_is_due(rebuild))
			rc = raid_rebuild_checkpoint(array);
		/* Members in memory never suspend. */
		fiber_yield();
	}
	return rc == -ECANCELED ? 0 : rc;
}

static int window_fiber(void *arg)
{
	const struct window *window = arg;
	struct raid_array *array = window->array;
	struct raid_sync sync = { .array = array,
				  .operation = array->rebuild.operation,
				  .force = array->rebuild.force };
	unsigned count = array->level->sync_buffers(array);
	CLEANUP_FREE uint8_t **buffers = calloc(count, sizeof(*buffers));
	CLEANUP_FREE uint8_t *memory = NULL;
	int rc = -ENOMEM;

	if (buffers && posix_memalign((void **)&memory, 4096, count * (size_t)WINDOW_BYTES) == 0) {
		for (unsigned i = 0; i < count; i++)
			buffers[i] = memory + i * (size_t)WINDOW_BYTES;
		sync.buffers = buffers;
		rc = run_windows(array, window->index, &sync);
	}
	if (rc && !array->rebuild.status)
		array->rebuild.status = rc;
	return rc;
}

void raid_rebuild_windows(struct raid_array *array)
{
	struct window windows[RAID_REBUILD_WINDOWS];
	struct fiber *fibers[RAID_REBUILD_WINDOWS];

	for (unsigned i = 0; i < RAID_REBUILD_WINDOWS; i++) {
		windows[i] = (struct window){ array, i };
		fibers[i] = fiber_spawn(window_fiber, &windows[i]);
	}
	for (unsigned i = 0; i < RAID_REBUILD_WINDOWS; i++)
		fiber_join(fibers[i]);
	raid_rebuild_completed(array);
}
