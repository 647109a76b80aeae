/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a resync, recovery or scrub goes; see raid_sync_set_speed().
 *
 * The ceiling is a pace: each window says when the next may begin. So is the floor, but it counts only while there are
 * requests to the array: then a window waits until the floor lets it go and no other is at work, or until no request
 * was there for a while. Requests are counted where they begin and end, and looked at from here, so that they pay
 * nothing for it.
 */
#include "raid/rebuild.h"
#include "raid/rebuild_windows.h"
#include "util/bytes.h"

#define SECOND_NS   1000000000ull
#define STEP_NS     (SECOND_NS / 10) /* how long is slept at most before it is looked whether to end */
#define LOOK_NS     (SECOND_NS / 200) /* how often it is looked whether requests are there */
#define FEW_SECTORS 128u /* of a window while there are requests, as md's RESYNC_BLOCK_SIZE */
#define QUIET_NS    (SECOND_NS / 50) /* without one: nobody is waiting */

void raid_rebuild_speed_begin(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	rebuild->most_ns = rebuild->least_ns = worker_now();
	rebuild->running = 0;
	/* When the last one was nobody knows: whether there are more is waited for. */
	rebuild->seen_ns = array->requests_begun != rebuild->seen ? worker_now() : 0;
	rebuild->seen = array->requests_begun;
}

void raid_sync_set_speed(struct raid_array *array, struct raid_speed speed)
{
	struct raid_rebuild *rebuild = &array->rebuild;

	rebuild->speed = speed;
	rebuild->most_ns = rebuild->least_ns = worker_now();
	rebuild->speed_changes++;
}

void raid_rebuild_set_rate(struct raid_array *array, uint64_t bytes_per_second)
{
	raid_sync_set_speed(array,
			    (struct raid_speed){ array->rebuild.speed.least, bytes_per_second });
}

static uint64_t time_of(uint64_t bytes, uint64_t rate)
{
	return (uint64_t)((double)bytes * SECOND_NS / (double)rate);
}

static bool has_guests(struct raid_array *array)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	bool busy = array->requests_begun != array->requests_ended;

	if (busy || array->requests_begun != rebuild->seen) {
		rebuild->seen = array->requests_begun;
		rebuild->seen_ns = worker_now();
		return true;
	}
	return rebuild->seen_ns && worker_now() - rebuild->seen_ns < QUIET_NS;
}

static void keep_below(struct raid_array *array, uint64_t bytes)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	unsigned changes = rebuild->speed_changes;
	uint64_t due;

	if (!rebuild->speed.most)
		return;
	/* When this window may go; the next one is put off by as long as this one may take. */
	due = MAX(rebuild->most_ns, worker_now());
	rebuild->most_ns = due + time_of(bytes, rebuild->speed.most);
	while (!raid_rebuild_must_end(array) && changes == rebuild->speed_changes &&
	       worker_now() < due)
		fiber_sleep(MIN(due - worker_now(), STEP_NS));
}

static void let_guests_go_first(struct raid_array *array, uint64_t bytes)
{
	struct raid_rebuild *rebuild = &array->rebuild;
	uint64_t now;

	while (!raid_rebuild_must_end(array) && has_guests(array)) {
		now = worker_now();
		if (rebuild->speed.least && now >= rebuild->least_ns &&
		    (!rebuild->running || now - rebuild->least_ns > LOOK_NS))
			break;
		fiber_sleep(rebuild->least_ns > now ? MIN(LOOK_NS, rebuild->least_ns - now)
						    : LOOK_NS);
	}
	if (!rebuild->speed.least)
		return;
	/* What was missed is made up for; what went by while nobody was here is not counted against it. */
	now = worker_now();
	rebuild->least_ns = MIN(MAX(rebuild->least_ns, now - MIN(now, STEP_NS)), now) +
			    time_of(bytes, rebuild->speed.least);
}

uint64_t raid_rebuild_window(struct raid_array *array)
{
	const struct raid_rebuild *rebuild = &array->rebuild;
	bool late = rebuild->speed.least && worker_now() > rebuild->least_ns + LOOK_NS;

	return has_guests(array) && !late ? FEW_SECTORS : RAID_REBUILD_SECTORS;
}

void raid_rebuild_throttle(struct raid_array *array, uint64_t bytes)
{
	keep_below(array, bytes);
	let_guests_go_first(array, bytes);
}
