/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits for a link's wire (rate, trace), or is on it, in the order of coming, and when each is sent. A packet that is only delayed has left.
 *
 * Where the wire becomes another one, all that waits is sent at other times. These are found when a packet is the first and not at once, so that a change
 * costs the same whatever waits: link_resend (link_model.h) goes behind, packet by packet, with what the model said of the whole.
 */
#ifndef TENON_VSWITCH_LINK_TURNS_H
#define TENON_VSWITCH_LINK_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "vswitch/link_model.h"

struct link_frame;

struct link_turn {
	uint64_t sent;  /* when it leaves the wire ... */
	uint64_t delay; /* ... and how much later it is at the other end */
	struct link_frame *frame;
	uint32_t length;
	bool in_order; /* it does not arrive before those that came before it */
};

/* Zeroed to begin. */
struct link_turns {
	struct link_turn *ring; /* its room is a power of two */
	unsigned first, count, room;
	uint64_t bytes;       /* of all */
	uint64_t least_delay; /* of all that came since it was empty */
	unsigned again;       /* so many, right behind the first one, are sent as `resend` says */
	struct link_resend resend;
};

/* Frees the ring, not the frames. */
void link_turns_clear(struct link_turns *turns);

/* One more, after those that are there. False: out of memory. */
bool link_turns_add(struct link_turns *turns, const struct link_turn *turn);

/* The first one; NULL: there is none. */
static inline const struct link_turn *link_turns_first(const struct link_turns *turns)
{
	return turns->count ? &turns->ring[turns->first] : NULL;
}

/* Takes it out. */
void link_turns_pop(struct link_turns *turns);

/* The wire is that of `way` from now on, and all that wait are sent by it. */
void link_turns_change(struct link_turns *turns, struct link_way *way, uint64_t now);

#endif
