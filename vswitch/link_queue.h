/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames on their way over a link, each with the time at which it is at the other end: a queue in the order of that. */
#ifndef TENON_VSWITCH_LINK_QUEUE_H
#define TENON_VSWITCH_LINK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/frame.h"

/* No link holds more, so that one with a long delay and no rate does not take all memory. */
#define LINK_QUEUE_FRAMES (1u << 20)
#define LINK_QUEUE_BYTES  (256ULL << 20)

/* A frame in memory of its own; it asks for nothing. */
struct link_frame {
	uint64_t due;
	uint64_t sequence; /* equal times keep their order */
	struct frame frame;
	struct iovec piece;
	uint8_t bytes[];
};

/* Zeroed to begin. */
struct link_queue {
	struct link_frame **frames; /* a heap, from 1 */
	unsigned count, room;
	uint64_t bytes, sequence;
};

/* Frees what is in it. */
void link_queue_clear(struct link_queue *queue);

/* A frame of `length` bytes, to be filled in; NULL: there is no room. The caller frees it, or pushes it. */
struct link_frame *link_frame_create(const struct link_queue *queue, size_t length);

/* Puts a frame in, due at `due`. False, and it is freed: out of memory. */
bool link_queue_push(struct link_queue *queue, struct link_frame *frame, uint64_t due);

/* Takes out the first one if it is due; else NULL. */
struct link_frame *link_queue_pop(struct link_queue *queue, uint64_t now);

/* When the first one is due; UINT64_MAX: there is none. */
static inline uint64_t link_queue_due(const struct link_queue *queue)
{
	return queue->count ? queue->frames[1]->due : UINT64_MAX;
}

#endif
