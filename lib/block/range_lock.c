/* SPDX-License-Identifier: BSD-2-Clause */
/* Locks on ranges; see range_lock.h. */
#include "block/range_lock.h"

void range_lock_init(struct range_lock *lock, unsigned shift)
{
	lock->shift = shift;
	lock->asked = 0;
	list_init(&lock->wide);
	for (unsigned i = 0; i < RANGE_LOCK_BUCKETS; i++)
		list_init(&lock->buckets[i]);
}

static bool is_wide(const struct range_lock *lock, const struct range_hold *hold)
{
	return hold->start >> lock->shift != (hold->end - 1) >> lock->shift;
}

static struct list *list_of(struct range_lock *lock, const struct range_hold *hold)
{
	if (is_wide(lock, hold))
		return &lock->wide;
	return &lock->buckets[(hold->start >> lock->shift) % RANGE_LOCK_BUCKETS];
}

static bool overlap(const struct range_hold *a, const struct range_hold *b)
{
	return a->start < b->end && b->start < a->end;
}

/* Ranges on one list that `hold` waits for. */
static unsigned count_earlier(const struct list *list, const struct range_hold *hold)
{
	unsigned count = 0;

	list_for_each(at, list)
		count += overlap(list_entry(at, struct range_hold, node), hold);
	return count;
}

static void set_free(const struct list *list, const struct range_hold *gone)
{
	list_for_each(at, list) {
		struct range_hold *hold = list_entry(at, struct range_hold, node);

		if (hold->order > gone->order && overlap(hold, gone) && !--hold->earlier)
			fiber_queue_wake_all(&hold->ready);
	}
}

/* Whoever is on a list has asked before; `hold` is on none yet. */
static void count_waits(struct range_lock *lock, struct range_hold *hold, uint64_t start,
			uint64_t end)
{
	hold->start = start;
	hold->end = end;
	hold->earlier = count_earlier(&lock->wide, hold);
	if (!is_wide(lock, hold))
		hold->earlier += count_earlier(list_of(lock, hold), hold);
	else
		for (unsigned i = 0; i < RANGE_LOCK_BUCKETS; i++)
			hold->earlier += count_earlier(&lock->buckets[i], hold);
}

static void ask(struct range_lock *lock, struct range_hold *hold)
{
	hold->order = lock->asked++;
	list_add_tail(list_of(lock, hold), &hold->node);
}

void range_lock(struct range_lock *lock, struct range_hold *hold, uint64_t start, uint64_t end)
{
	count_waits(lock, hold, start, end);
	ask(lock, hold);
	if (!hold->earlier)
		return;
	fiber_queue_init(&hold->ready);
	while (hold->earlier)
		fiber_queue_wait_always(&hold->ready);
}

bool range_try_lock(struct range_lock *lock, struct range_hold *hold, uint64_t start, uint64_t end)
{
	count_waits(lock, hold, start, end);
	if (hold->earlier)
		return false;
	ask(lock, hold);
	return true;
}

void range_unlock(struct range_lock *lock, struct range_hold *hold)
{
	struct list *own = list_of(lock, hold);

	list_remove(&hold->node);
	set_free(&lock->wide, hold);
	if (own != &lock->wide) {
		set_free(own, hold);
		return;
	}
	for (unsigned i = 0; i < RANGE_LOCK_BUCKETS; i++)
		set_free(&lock->buckets[i], hold);
}
