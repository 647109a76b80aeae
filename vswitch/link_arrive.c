/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_arrive.h. */
#include "vswitch/link_arrive.h"

#include <stdlib.h>

#include "vswitch/internal.h"
#include "vswitch/link_enter.h"
#include "vswitch/turns.h"

/*
 * Takes a burst of the lower port's. That has turns of its own for what it costs to take its frames, which may be large ones: to cut and to copy
 * them. What they cost when they have arrived is the link's.
 */
static void take(struct link_arrival *arrival, struct port *port, struct port *lower, unsigned max,
		 uint64_t *now)
{
	struct link_entrance entrance = { &arrival->way, &arrival->queue, *now, port };
	uint64_t cost = 0, before = arrival->way.counters.offered, packets;
	unsigned count = turn_begin(lower, max);
	struct frame *got[PORT_BURST];

	if (!count) {
		arrival->taken = 1; /* it is to be asked again */
		return;
	}
	count = lower->ops->receive(lower, got, count);
	arrival->taken = count;
	if (!count)
		return;
	/* They came before this, but maybe long after the round began: a delay is never shorter than it was said. */
	entrance.now = *now = port->vswitch->clock(port->vswitch->clock_arg);
	for (unsigned i = 0; i < count; i++) {
		cost += turn_frame_cost(got[i]->length);
		link_enter(&entrance, got[i],
			   port->vswitch->captures.count ? ++port->thread->last_id : 0);
	}
	lower->ops->release(lower);
	packets = arrival->way.counters.offered - before;
	turn_charge(lower, cost + (packets > count ? packets - count : 0) * TURN_SEGMENT);
	turn_end(lower, count);
}

static void give(struct link_arrival *arrival, struct frame **frames, unsigned max, uint64_t now)
{
	struct link_frame *frame;

	while (arrival->given_count < max && (frame = link_queue_pop(&arrival->queue, now))) {
		link_way_delivered(&arrival->way, frame->due, now);
		frames[arrival->given_count] = &frame->frame;
		arrival->given[arrival->given_count++] = frame;
	}
}

unsigned link_arrive(struct link_arrival *arrival, struct port *port, struct port *lower,
		     struct frame **frames, unsigned max)
{
	uint64_t now = port_now(port);

	arrival->passed = !link_way_is_bad(&arrival->way) && !arrival->queue.count;
	port->numbered = !arrival->passed;
	arrival->taken = 0;
	if (arrival->passed)
		return lower->ops->receive(lower, frames, max);
	arrival->given_count = 0;
	link_queue_waiting(&arrival->queue, now);
	give(arrival, frames, max, now);
	/* Where more has arrived than there is a turn for, what else there is waits at the machine and not here. */
	if (link_queue_due(&arrival->queue) > now) {
		take(arrival, port, lower, max, &now);
		give(arrival, frames, max, now);
	}
	return arrival->given_count;
}

void link_arrived(struct link_arrival *arrival, struct port *lower)
{
	if (arrival->passed) {
		lower->ops->release(lower);
		return;
	}
	for (unsigned i = 0; i < arrival->given_count; i++)
		free(arrival->given[i]);
	arrival->given_count = 0;
}
