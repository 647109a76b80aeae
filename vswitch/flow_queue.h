/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On which queue of a port with several a flow came in, so that what goes back has the same one. Remembered by the flow's hash, of as many flows as Linux's TAP
 * remembers, in sets of four: a fifth takes the place of one of its set.
 *
 * The port's thread notes, others look meanwhile.
 */
#ifndef TENON_VSWITCH_FLOW_QUEUE_H
#define TENON_VSWITCH_FLOW_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/frame.h"

#define FLOW_QUEUE_SETS 1024
#define FLOW_QUEUE_WAYS 4
#define FLOW_QUEUE_MAX  255 /* queues of a port */

struct flow_queues {
	/* The upper bits of a hash, and in the low byte a queue and 1; 0: none. */
	uint32_t at[FLOW_QUEUE_SETS][FLOW_QUEUE_WAYS];
};

/* Of both ways of a flow the same, also where only one of them has a tag, or offloads (whose heads are longer). `by_type`: all that is no IP of one EtherType
 * is one flow, as Linux has it; else of two stations. */
uint32_t flow_hash(const struct frame *frame, bool by_type);

void flow_queues_forget(struct flow_queues *flows);
void flow_queues_note(struct flow_queues *flows, uint32_t hash, unsigned queue);
/* The queue it was noted with; `count` if none is known. */
unsigned flow_queues_find(const struct flow_queues *flows, uint32_t hash, unsigned count);

/* Of a flow that is not known, the queue of `count` by its hash: by other bits than the table's. */
static inline unsigned flow_queue_by_hash(uint32_t hash, unsigned count)
{
	return (hash >> 16) % count;
}

#endif
