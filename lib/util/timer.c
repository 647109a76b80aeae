/* SPDX-License-Identifier: BSD-2-Clause */
/* See timer.h. */
#include "util/timer.h"

#include <stdbool.h>
#include <stdlib.h>

static bool before(const struct timer *a, const struct timer *b)
{
	return a->when != b->when ? a->when < b->when : a->sequence < b->sequence;
}

static void put_timer(struct timer_heap *heap, unsigned place, struct timer *timer)
{
	heap->timers[place] = timer;
	timer->place = place;
}

/* Puts `timer` where it belongs, starting from a hole at `place`. */
static void settle(struct timer_heap *heap, unsigned place, struct timer *timer)
{
	while (place > 1 && before(timer, heap->timers[place / 2])) {
		put_timer(heap, place, heap->timers[place / 2]);
		place /= 2;
	}
	for (;;) {
		unsigned child = place * 2;

		if (child > heap->count)
			break;
		if (child < heap->count && before(heap->timers[child + 1], heap->timers[child]))
			child++;
		if (!before(heap->timers[child], timer))
			break;
		put_timer(heap, place, heap->timers[child]);
		place = child;
	}
	put_timer(heap, place, timer);
}

void timer_arm(struct timer_heap *heap, struct timer *timer, uint64_t when)
{
	timer_disarm(heap, timer);
	if (heap->count + 1 >= heap->room) {
		heap->room = heap->room ? heap->room * 2 : 64;
		heap->timers = realloc(heap->timers, heap->room * sizeof(*heap->timers));
		if (!heap->timers)
			abort();
	}
	timer->when = when;
	timer->sequence = heap->sequence++;
	heap->count++;
	settle(heap, heap->count, timer);
}

void timer_disarm(struct timer_heap *heap, struct timer *timer)
{
	unsigned place = timer->place;
	struct timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = heap->timers[heap->count--];
	if (last != timer)
		settle(heap, place, last);
}

unsigned timer_expire(struct timer_heap *heap, uint64_t now)
{
	unsigned expired = 0;

	while (heap->count && heap->timers[1]->when <= now) {
		struct timer *timer = heap->timers[1];

		timer_disarm(heap, timer);
		timer->expire(timer);
		expired++;
	}
	return expired;
}

void timer_heap_destroy(struct timer_heap *heap)
{
	free(heap->timers);
	*heap = (struct timer_heap){ 0 };
}
