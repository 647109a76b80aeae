/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits for a link's wire (rate, trace), or is on it: the times at which each is sent, in that order. A packet that is only delayed has left.
 */
#ifndef TENON_VSWITCH_LINK_TURNS_H
#define TENON_VSWITCH_LINK_TURNS_H

#include <stdint.h>

/* Zeroed to begin. */
struct link_turns {
	uint64_t *sent; /* a ring; its room is a power of two */
	unsigned first, count, room;
};

void link_turns_clear(struct link_turns *turns);

/* How many are not sent `now`, which never goes back. */
unsigned link_turns_waiting(struct link_turns *turns, uint64_t now);

/* One more, sent at `sent`, after those that are there. What is sent `now` does not wait; nor is one counted for which there is no memory. */
void link_turns_add(struct link_turns *turns, uint64_t now, uint64_t sent);

/* None waits any more. */
void link_turns_restart(struct link_turns *turns);

#endif
