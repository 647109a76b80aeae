/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames on their way over a link, each with the time at which it is at the other end: a queue in the order of that; of equal
 * times, in that of coming.
 *
 * What comes is mostly due after all that is there (a delay, a rate): that waits in a line. What is not (jitter, reorder) waits in a
 * heap. The first one is the first of either. Both are of times and numbers, without the frames, which lie all over the memory.
 *
 * Before that they wait for the wire, where there is one (link_turns.h), and go on from there in steps, however many have been sent at once: so no
 * call of these functions takes longer where more is waiting.
 */
#ifndef TENON_VSWITCH_LINK_QUEUE_H
#define TENON_VSWITCH_LINK_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/frame.h"
#include "vswitch/link_turns.h"

/* No way holds more, so that one with a long delay and no rate does not take all memory. */
#define LINK_QUEUE_BYTES (256ULL << 20)
#define LINK_QUEUE_LEAST (1ULL << 20) /* that each has, however many there are */

/* A frame in memory of its own; it asks for nothing. */
struct link_frame {
	uint64_t due;
	struct frame frame;
	struct iovec piece;
	uint8_t bytes[];
};

/* What each costs beside its bytes: also what the heap has it for, and its places in the rings, which are filled by half at least while they grow. */
#define LINK_QUEUE_FRAME (sizeof(struct link_frame) + 64)

struct link_entry {
	uint64_t due;
	uint64_t sequence; /* equal times keep their order */
	struct link_frame *frame;
};

/* Zeroed to begin. */
struct link_queue {
	uint64_t room; /* of its bytes, with LINK_QUEUE_FRAME for each; 0: LINK_QUEUE_BYTES */
	struct link_entry *line; /* a ring; its room is a power of two */
	unsigned line_first, line_count, line_room;
	uint64_t line_last; /* when the last of it is due */
	struct link_entry *heap;
	unsigned heap_count, heap_room;
	unsigned count; /* of all */
	uint64_t bytes, sequence;
	uint64_t last_due;       /* of all that are past the wire, or were */
	struct link_turns turns; /* of those that wait for it; they are in `count` and `bytes` */
};

/* Frees what is in it. */
void link_queue_clear(struct link_queue *queue);

/* Whether there is room for `count` frames of `length` bytes. */
bool link_queue_has_room(const struct link_queue *queue, unsigned count, size_t length);

/* A frame of `length` bytes, to be filled in; NULL: there is no room. The caller frees it, or pushes it. */
struct link_frame *link_frame_create(const struct link_queue *queue, size_t length);

/* Has those go on that have left the wire `now`, or some of many; how many are still there. */
unsigned link_queue_waiting(struct link_queue *queue, uint64_t now);

/* Puts a frame in that comes `now`. False, and it is freed: out of memory. */
bool link_queue_push(struct link_queue *queue, uint64_t now, const struct link_turn *turn);

/* Takes out the first one if it is due; else NULL, also where that is not known yet: then link_queue_due() is not later than `now`. */
struct link_frame *link_queue_pop(struct link_queue *queue, uint64_t now);

/* When to look for the first one: not after it is due; UINT64_MAX: there is none. */
uint64_t link_queue_due(const struct link_queue *queue);

#endif
