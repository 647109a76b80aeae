/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues of a TAP.
 *
 * Reading: those that have frames take turns, and share the frames of a round; one that has none costs nothing until its descriptor says
 * so.
 *
 * Writing: the kernel sends a flow on the queue on which it was written last, and one that was not written by its own hash, which is not ours. So
 * a flow that the kernel has begun is written where it came first: then it stays there, also if an entry of the kernel's ends (after three seconds), and nothing of it
 * passes by what waits in another queue. Other flows go by our hash, and the kernel follows. What has a hash of ours in common is on one queue, so it follows once.
 */
#include "vswitch/port_tap.h"

_Static_assert(TAP_QUEUES_MAX <= FLOW_QUEUE_MAX, "a queue can be noted");

static void ready(struct port_watch *watch)
{
	struct port_tap *tap = tap_of(watch->port);
	struct port_tap_queue *queue = container_of(watch, struct port_tap_queue, watch);

	if (!queue->readable)
		port_tap_give_turn(tap, (unsigned)(queue - tap->queues));
	queue->readable = true;
}

void port_tap_give_turn(struct port_tap *tap, unsigned number)
{
	tap->turns[(tap->first + tap->waiting++) % TAP_QUEUES_MAX] = (uint8_t)number;
}

unsigned port_tap_take_turn(struct port_tap *tap)
{
	unsigned number = tap->turns[tap->first];

	tap->first = (tap->first + 1) % TAP_QUEUES_MAX;
	tap->waiting--;
	return number;
}

int port_tap_watch(struct port_tap *tap, const struct tap *of)
{
	tap->waiting = 0;
	flow_queues_forget(&tap->flows);
	for (unsigned i = 0; i < of->queues; i++) {
		int rc = port_watch(&tap->port, &tap->queues[i].watch, tap_queue_fd(of, i), ready);

		if (rc) {
			port_tap_unwatch(tap);
			return rc;
		}
		port_tap_give_turn(tap, i);
		tap->queues[i].readable = true;
	}
	return 0;
}

void port_tap_unwatch(struct port_tap *tap)
{
	for (unsigned i = 0; i < tap->options.queues; i++) {
		port_unwatch(&tap->queues[i].watch);
		tap->queues[i].readable = false;
	}
	tap->waiting = 0;
}

void port_tap_flow_seen(struct port_tap *tap, unsigned number, const struct frame *frame)
{
	uint32_t hash = flow_hash(frame, true);

	if (flow_queues_find(&tap->flows, hash, TAP_QUEUES_MAX) == TAP_QUEUES_MAX)
		flow_queues_note(&tap->flows, hash, number);
}

unsigned port_tap_queue_for(const struct port_tap *tap, const struct frame *frame)
{
	unsigned known, count = tap->options.queues;
	uint32_t hash;

	if (count < 2)
		return 0;
	hash = flow_hash(frame, true);
	known = flow_queues_find(&tap->flows, hash, count);
	return known < count ? known : flow_queue_by_hash(hash, count);
}
