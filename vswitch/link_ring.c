/* SPDX-License-Identifier: BSD-2-Clause */
/* See link_ring.h. */
#include "vswitch/link_ring.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 64

void *link_ring_grow(void *ring, size_t each, unsigned *first, unsigned *room)
{
	size_t begun = (*room - *first) * each; /* from the first on */
	uint8_t *larger = malloc((*room ? 2ul * *room : ROOM_LEAST) * each);

	if (!larger)
		return NULL;
	if (ring) {
		memcpy(larger, (uint8_t *)ring + *first * each, begun);
		memcpy(larger + begun, ring, *first * each);
		free(ring);
	}
	*first = 0;
	*room = *room ? 2 * *room : ROOM_LEAST;
	return larger;
}
