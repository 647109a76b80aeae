/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on ranges, held by fibers of one worker across suspensions.
 *
 * First come, first served: a range waits for every overlapping one that was asked for before it, held
 * or waiting, so nobody starves and two waiters never wait for each other. Each waits for a number of
 * earlier ranges, and the last of those to go wakes it: nobody is woken for nothing.
 *
 * Ranges are found by hash of the unit of 1 << `shift` that they lie in; those that lie in more than one
 * are on a list of their own, which everybody looks through.
 */
#ifndef TENON_BLOCK_RANGE_LOCK_H
#define TENON_BLOCK_RANGE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"
#include "util/list.h"

#define RANGE_LOCK_BUCKETS 64u

struct range_lock {
	unsigned shift;
	uint64_t asked; /* how many have asked so far */
	struct list wide, buckets[RANGE_LOCK_BUCKETS];
};

/* A range in the lock; lives on the stack of its fiber, or with a request. */
struct range_hold {
	struct list node;
	uint64_t start, end;
	uint64_t order;   /* of asking */
	unsigned earlier; /* overlapping ranges that it waits for */
	struct fiber_queue ready;
};

/* Most ranges should be shorter than 1 << `shift`. */
void range_lock_init(struct range_lock *lock, unsigned shift);

/* Suspends until [start, end) is this fiber's; pair it with range_unlock(), which never suspends. */
void range_lock(struct range_lock *lock, struct range_hold *hold, uint64_t start, uint64_t end);
void range_unlock(struct range_lock *lock, struct range_hold *hold);
/* The same if that takes no waiting; else false, and nothing was done. */
bool range_try_lock(struct range_lock *lock, struct range_hold *hold, uint64_t start, uint64_t end);

#endif
