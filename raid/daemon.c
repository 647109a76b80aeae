/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The array's daemon: marks the array clean when no write came for a while, clears the bitmap in
 * rounds, and writes superblocks that are wanted but that no write waits for.
 */
#include "raid/array.h"
#include "raid/intent.h"
#include "util/bytes.h"

#define CLEAN_DELAY_NS 200000000ull /* the kernel's safe_mode_delay */
#define SECOND_NS      1000000000ull

/* Does what is due at `now`, and says when there is more: an absolute time, or FIBER_FOREVER. */
static uint64_t mark_clean_when_due(struct raid_array *array, uint64_t now)
{
	uint64_t due = array->last_write_ns + CLEAN_DELAY_NS;

	if (array->clean)
		return FIBER_FOREVER;
	/* It looks again by itself, so that none of many writes has to wake it. */
	if (array->writes)
		return now + CLEAN_DELAY_NS;
	if (now < due)
		return due;
	/* Without a member left there is nothing to write to; the next write tries again. */
	raid_array_mark_clean(array);
	return FIBER_FOREVER;
}

static uint64_t clear_bitmap_when_due(struct raid_array *array, uint64_t now, uint64_t *round)
{
	uint64_t sleep_ns;

	if (!array->intent || !raid_intent_busy(array->intent)) {
		*round = 0;
		return FIBER_FOREVER;
	}
	sleep_ns = MIN(array->intent->super.daemon_sleep, 3600u) * SECOND_NS;
	if (!*round)
		*round = now + sleep_ns;
	if (now >= *round) {
		fiber_mutex_lock(&array->clearing);
		if (array->intent)
			raid_intent_clear(array->intent, false);
		fiber_mutex_unlock(&array->clearing);
		*round = worker_now() + sleep_ns;
	}
	return *round;
}

static int daemon_fiber(void *arg)
{
	struct raid_array *array = arg;
	uint64_t round = 0;

	while (!array->stopping) {
		uint64_t now = worker_now(), wake, other;
		int rc;

		array->daemon_kicked = false;
		rc = raid_super_settle(array);
		wake = mark_clean_when_due(array, now);
		other = clear_bitmap_when_due(array, now, &round);
		wake = MIN(wake, other);
		now = worker_now();
		/* All of these suspend; what came meanwhile is seen to first. */
		if (array->stopping || (array->daemon_kicked && !rc) || wake <= now)
			continue;
		array->daemon_wake_ns = wake;
		if (wake == FIBER_FOREVER)
			fiber_queue_wait_always(&array->daemon_queue);
		else
			fiber_queue_wait(&array->daemon_queue, wake - now);
		array->daemon_wake_ns = FIBER_FOREVER;
	}
	return 0;
}

void raid_daemon_wrote(struct raid_array *array)
{
	array->last_write_ns = worker_now();
	/* With a timer that is soon enough it sees the write anyway. */
	if (array->daemon_wake_ns > array->last_write_ns + CLEAN_DELAY_NS)
		raid_daemon_wake(array);
}

static void array_changed(struct raid_watch *watch, enum raid_change change)
{
	if (change != RAID_CHANGED_SHORTER && change != RAID_CHANGED_WRITABLE)
		raid_daemon_wake(container_of(watch, struct raid_array, daemon_watch));
}

void raid_daemon_start(struct raid_array *array)
{
	array->daemon_watch.changed = array_changed;
	raid_array_watch(array, &array->daemon_watch);
	array->daemon_wake_ns = FIBER_FOREVER;
	array->daemon = fiber_spawn(daemon_fiber, array);
}

void raid_daemon_stop(struct raid_array *array)
{
	array->stopping = true;
	raid_daemon_wake(array);
	if (array->daemon)
		fiber_join(array->daemon);
	array->daemon = NULL;
}
