/* Locks on ranges; see range_lock.h. */
#include "block/range_lock.h"

void range_lock_init(struct range_lock *lock)
{
	list_init(&lock->ranges);
	fiber_queue_init(&lock->queue);
}

static bool must_wait(struct range_lock *lock, const struct range_hold *hold)
{
	list_for_each(at, &lock->ranges) {
		const struct range_hold *other = list_entry(at, struct range_hold, node);

		if (other == hold)
			return false;
		if (other->start < hold->end && hold->start < other->end)
			return true;
	}
	return false;
}

void range_lock(struct range_lock *lock, struct range_hold *hold, uint64_t start, uint64_t end)
{
	hold->start = start;
	hold->end = end;
	list_add_tail(&lock->ranges, &hold->node);
	while (must_wait(lock, hold))
		fiber_queue_wait_always(&lock->queue);
}

void range_unlock(struct range_lock *lock, struct range_hold *hold)
{
	list_remove(&hold->node);
	fiber_queue_wake_all(&lock->queue);
}
