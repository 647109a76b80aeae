/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate of a layer: who is in it, and keeping others out while its inside is changed.
 *
 * Every request enters the gate of each layer on its way down and leaves it at its end. While a gate is
 * closed, requests wait before it; who closed it waits until nobody is inside. Fibers of one worker
 * only, as everything here.
 */
#ifndef TENON_BLOCK_GATE_H
#define TENON_BLOCK_GATE_H

#include <stdbool.h>

#include "fiber/fiber.h"

struct block_gate {
	unsigned inside; /* requests, and parts of such */
	unsigned closed; /* how many keep it closed */
	struct fiber_queue opening, empty;
};

static inline void block_gate_init(struct block_gate *gate)
{
	gate->inside = gate->closed = 0;
	fiber_queue_init(&gate->opening);
	fiber_queue_init(&gate->empty);
}

/* Suspends while it is closed. */
static inline void block_gate_enter(struct block_gate *gate)
{
	while (gate->closed)
		fiber_queue_wait_always(&gate->opening);
	gate->inside++;
}

static inline void block_gate_leave(struct block_gate *gate)
{
	if (!--gate->inside && gate->closed)
		fiber_queue_wake_all(&gate->empty);
}

/* Lets nobody in any more; counted. */
static inline void block_gate_shut(struct block_gate *gate)
{
	gate->closed++;
}

/* Suspends until nobody is inside. */
static inline void block_gate_drain(struct block_gate *gate)
{
	while (gate->inside)
		fiber_queue_wait_always(&gate->empty);
}

static inline void block_gate_close(struct block_gate *gate)
{
	block_gate_shut(gate);
	block_gate_drain(gate);
}

static inline void block_gate_open(struct block_gate *gate)
{
	if (!--gate->closed)
		fiber_queue_wake_all(&gate->opening);
}

#endif
