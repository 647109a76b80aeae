/*
 * Locks on ranges, held by fibers of one worker across suspensions.
 *
 * First come, first served: a range waits for every overlapping one that was asked for before it, held
 * or waiting, so nobody starves and two waiters never wait for each other.
 */
#ifndef TENON_BLOCK_RANGE_LOCK_H
#define TENON_BLOCK_RANGE_LOCK_H

#include <stdint.h>

#include "fiber/fiber.h"
#include "util/list.h"

struct range_lock {
	struct list ranges; /* struct range_hold, in the order of asking */
	struct fiber_queue queue;
};

/* A range in the lock; lives on the stack of its fiber. */
struct range_hold {
	struct list node;
	uint64_t start, end;
};

void range_lock_init(struct range_lock *lock);

/* Suspends until [start, end) is this fiber's; pair it with range_unlock(). */
void range_lock(struct range_lock *lock, struct range_hold *hold, uint64_t start, uint64_t end);
void range_unlock(struct range_lock *lock, struct range_hold *hold);

#endif
