/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hostile neighbour says by LLDP, over hours. The input is a row of steps: a byte (0 to 31: so many seconds pass; else a message
 * comes), and of a message its length in two bytes, and its bytes. Neighbours stay few, none is older than it said, and what was understood
 * can be said again and means the same, as far as it fits.
 */
#include <stdlib.h>

#include "util/bytes.h"
#include "vswitch/lldp_neighbours.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_again(const struct lldp_message *message)
{
	uint8_t bytes[2 * LLDP_MESSAGE_MAX], same[sizeof(bytes)];
	struct lldp_message again;
	int length = lldp_encode(message, bytes, sizeof(bytes));

	if (length < 0 || lldp_decode(&again, bytes, (size_t)length) || again.tlvs_bad ||
	    again.tlvs_unknown || lldp_encode(&again, same, sizeof(same)) != length ||
	    memcmp(bytes, same, (size_t)length) != 0)
		abort();
}

static void check_all(const struct lldp_neighbours *neighbours, uint64_t now)
{
	unsigned count = 0;

	list_for_each(at, &neighbours->list) {
		const struct lldp_neighbour *neighbour =
			list_entry(at, struct lldp_neighbour, node);

		if (neighbour->until <= now || !neighbour->message.ttl)
			abort();
		say_again(&neighbour->message);
		count++;
	}
	if (count != neighbours->count || count > LLDP_NEIGHBOURS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lldp_neighbours neighbours;
	uint64_t now = 1;
	size_t at = 0;

	lldp_neighbours_init(&neighbours);
	while (at < size) {
		uint8_t step = data[at++];

		if (step < 32) {
			now += step * LLDP_SECOND;
			lldp_neighbours_age(&neighbours, now);
		} else {
			size_t length = size - at >= 2 ? get_be16(data + at) : 0;
			uint8_t *copy;

			at = MIN(at + 2, size);
			length = MIN(length, size - at);
			copy = malloc(length); /* its own, so that reading beyond it is seen */
			if (length)
				memcpy(copy, data + at, length);
			lldp_neighbours_hear(&neighbours, copy, length, now);
			free(copy);
			at += length;
		}
		check_all(&neighbours, now);
	}
	lldp_neighbours_clear(&neighbours);
	return 0;
}
