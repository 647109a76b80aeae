/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_turns.h. */
#include "vswitch/link_turns.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/link_ring.h"

void link_turns_clear(struct link_turns *turns)
{
	free(turns->ring);
	*turns = (struct link_turns){ 0 };
}

static bool grow_ring(struct link_turns *turns)
{
	struct link_turn *ring =
		link_ring_grow(turns->ring, sizeof(*ring), &turns->first, &turns->room);

	turns->ring = ring ? ring : turns->ring;
	return ring;
}

bool link_turns_add(struct link_turns *turns, const struct link_turn *turn)
{
	if (turns->count == turns->room && !grow_ring(turns))
		return false;
	turns->least_delay = turns->count ? MIN(turns->least_delay, turn->delay) : turn->delay;
	turns->ring[(turns->first + turns->count++) & (turns->room - 1)] = *turn;
	turns->bytes += turn->length;
	return true;
}

void link_turns_pop(struct link_turns *turns)
{
	struct link_turn *next;

	turns->bytes -= turns->ring[turns->first].length;
	turns->first = (turns->first + 1) & (turns->room - 1);
	turns->count--;
	if (!turns->again)
		return;
	turns->again--;
	next = &turns->ring[turns->first];
	next->sent = link_resend_next(&turns->resend, next->length);
}

void link_turns_change(struct link_turns *turns, struct link_way *way, uint64_t now)
{
	struct link_turn *first;

	turns->again = 0;
	if (!turns->count)
		return;
	first = &turns->ring[turns->first];
	first->sent = link_way_resend(way, now, first->length, first->sent,
				      turns->bytes - first->length, &turns->resend);
	turns->again = turns->count - 1;
}
