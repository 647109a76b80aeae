/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_turns.h. */
#include "vswitch/link_turns.h"

#include <stdbool.h>
#include <stdlib.h>

#include "vswitch/link_ring.h"

void link_turns_clear(struct link_turns *turns)
{
	free(turns->sent);
	*turns = (struct link_turns){ 0 };
}

unsigned link_turns_waiting(struct link_turns *turns, uint64_t now)
{
	while (turns->count && turns->sent[turns->first] <= now) {
		turns->first = (turns->first + 1) & (turns->room - 1);
		turns->count--;
	}
	return turns->count;
}

static bool grow(struct link_turns *turns)
{
	uint64_t *sent = link_ring_grow(turns->sent, sizeof(*sent), &turns->first, &turns->room);

	turns->sent = sent ? sent : turns->sent;
	return sent;
}

void link_turns_add(struct link_turns *turns, uint64_t now, uint64_t sent)
{
	if (sent <= now || (link_turns_waiting(turns, now) == turns->room && !grow(turns)))
		return;
	turns->sent[(turns->first + turns->count++) & (turns->room - 1)] = sent;
}

void link_turns_restart(struct link_turns *turns)
{
	turns->first = turns->count = 0;
}
