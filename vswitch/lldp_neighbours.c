/* SPDX-License-Identifier: BSD-2-Clause */
/* The neighbours of a port; see lldp_neighbours.h. */
#include "vswitch/lldp_neighbours.h"

#include <stdlib.h>

#include "util/timer.h"

static struct lldp_neighbour *neighbour_at(struct list *at)
{
	return list_entry(at, struct lldp_neighbour, node);
}

void lldp_neighbours_init(struct lldp_neighbours *neighbours)
{
	*neighbours = (struct lldp_neighbours){ 0 };
	list_init(&neighbours->list);
}

static struct lldp_neighbour *find_neighbour(struct lldp_neighbours *neighbours,
					     const struct lldp_message *message)
{
	list_for_each(at, &neighbours->list) {
		struct lldp_neighbour *neighbour = neighbour_at(at);

		if (lldp_id_same(&neighbour->message.chassis, &message->chassis) &&
		    lldp_id_same(&neighbour->message.port, &message->port))
			return neighbour;
	}
	return NULL;
}

static void forget_neighbour(struct lldp_neighbours *neighbours, struct lldp_neighbour *neighbour)
{
	list_remove(&neighbour->node);
	neighbours->count--;
	free(neighbour);
}

static struct lldp_neighbour *new_neighbour(struct lldp_neighbours *neighbours)
{
	struct lldp_neighbour *neighbour =
		neighbours->count < LLDP_NEIGHBOURS ? malloc(sizeof(*neighbour)) : NULL;

	if (!neighbour) {
		neighbours->counters.refused++;
		neighbours->counters.discarded++;
		return NULL;
	}
	list_add_tail(&neighbours->list, &neighbour->node);
	neighbours->count++;
	return neighbour;
}

enum lldp_news lldp_neighbours_hear(struct lldp_neighbours *neighbours, const uint8_t *bytes,
				    size_t length, uint64_t now)
{
	struct lldp_counters *counters = &neighbours->counters;
	struct lldp_neighbour *neighbour;
	struct lldp_message message;
	enum lldp_news news = LLDP_REFRESHED;

	counters->received++;
	if (lldp_decode(&message, bytes, length)) {
		counters->discarded++;
		counters->errors++;
		return LLDP_NOTHING;
	}
	counters->errors += message.tlvs_bad != 0;
	counters->tlvs_discarded += message.tlvs_bad;
	counters->tlvs_unknown += message.tlvs_unknown;
	lldp_neighbours_age(neighbours, now);
	neighbour = find_neighbour(neighbours, &message);
	if (!message.ttl) {
		if (!neighbour)
			return LLDP_NOTHING;
		forget_neighbour(neighbours, neighbour);
		return LLDP_WENT;
	}
	if (!neighbour) {
		neighbour = new_neighbour(neighbours);
		news = LLDP_CAME;
	}
	if (!neighbour)
		return LLDP_NOTHING;
	neighbour->message = message;
	neighbour->until = now + message.ttl * LLDP_SECOND;
	return news;
}

void lldp_neighbours_age(struct lldp_neighbours *neighbours, uint64_t now)
{
	list_for_each_safe(at, &neighbours->list) {
		if (neighbour_at(at)->until > now)
			continue;
		forget_neighbour(neighbours, neighbour_at(at));
		neighbours->counters.aged++;
	}
}

void lldp_neighbours_clear(struct lldp_neighbours *neighbours)
{
	while (!list_empty(&neighbours->list))
		forget_neighbour(neighbours, neighbour_at(neighbours->list.next));
}

uint64_t lldp_neighbours_next(const struct lldp_neighbours *neighbours)
{
	uint64_t next = TIMER_NEVER;

	list_for_each(at, &neighbours->list)
		next = MIN(next, neighbour_at(at)->until);
	return next;
}
