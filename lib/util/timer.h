/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers of one thread: a binary heap, ordered by time and then by the order of arming, so that the same
 * events come in the same order each time. Time is whatever the owner counts, nanoseconds here: the clock
 * of a worker (fiber/fiber.h) or of a switch, both of which a test replaces.
 */
#ifndef TENON_UTIL_TIMER_H
#define TENON_UTIL_TIMER_H

#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

/* Zeroed to begin, but for `expire`. */
struct timer {
	uint64_t when;
	uint64_t sequence; /* of arming: equal times expire in this order */
	unsigned place;    /* in the heap, from 1; 0: not armed */
	void (*expire)(struct timer *timer);
};

struct timer_heap {
	struct timer **timers; /* from 1 */
	unsigned count, room;
	uint64_t sequence;
};

/* Has `timer` expire at `when`, once; one that is armed already is moved there. Ends the process when out
 * of memory: who waits for a timer has no way to do without. */
void timer_arm(struct timer_heap *heap, struct timer *timer, uint64_t when);
void timer_disarm(struct timer_heap *heap, struct timer *timer); /* may be called when not armed */

/* Expires all that are due; returns how many. A timer may be armed again, or freed, where it expires. */
unsigned timer_expire(struct timer_heap *heap, uint64_t now);

/* When the next is due, or TIMER_NEVER. */
static inline uint64_t timer_next(const struct timer_heap *heap)
{
	return heap->count ? heap->timers[1]->when : TIMER_NEVER;
}

/* Frees the heap's memory; its timers are the owners'. */
void timer_heap_destroy(struct timer_heap *heap);

#endif
