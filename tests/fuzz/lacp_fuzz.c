/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hostile neighbour says by LACP and markers. The input is a row of steps: a byte that says which link and what (time that passes, a
 * link that goes and comes, bytes as they are, or a good LACPDU with what the input has in its fields). The machines come to rest; links that
 * carry frames are in step and of one partner; what is sent can be read, and is not too much.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/lacp.h"

#define LINKS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
	struct lacp lacp;
	struct lacp_link links[LINKS];
	uint64_t now, sent[LINKS][LACP_TX_MOST];
};

static void look_at_sent(struct lacp *lacp, struct lacp_link *link,
			 const uint8_t bytes[LACP_PDU_LEN])
{
	struct scene *scene = container_of(lacp, struct scene, lacp);
	uint64_t *sent = scene->sent[link - scene->links];
	struct lacp_pdu pdu;

	if (bytes[0] == SLOW_MARKER)
		return;
	if (!lacp_pdu_decode(&pdu, bytes, LACP_PDU_LEN) || pdu.actor.system != 0x0a)
		abort();
	if (sent[0] && scene->now - sent[0] < LACP_FAST)
		abort();
	memmove(sent, sent + 1, (LACP_TX_MOST - 1) * sizeof(*sent));
	sent[LACP_TX_MOST - 1] = scene->now;
}

static void nothing(struct lacp *lacp)
{
	(void)lacp;
}

static const struct lacp_ops fuzz_ops = { look_at_sent, nothing };

static void check(const struct scene *scene)
{
	const struct lacp_link *first = NULL;
	unsigned carrying = 0;

	for (unsigned i = 0; i < LINKS; i++) {
		const struct lacp_link *link = &scene->links[i];
		uint8_t state = link->actor.state;

		if (link->mux != LACP_CARRYING) {
			if (state & (LACP_COLLECTING | LACP_DISTRIBUTING))
				abort();
			continue;
		}
		carrying++;
		if (!link->up || !link->selected || link->partner.system == 0x0a ||
		    !(link->partner.state & LACP_SYNCHRONIZATION) || !(state & LACP_COLLECTING) ||
		    !(state & LACP_DISTRIBUTING))
			abort();
		if (first && !lacp_same_system(&first->partner, &link->partner))
			abort();
		first = link;
	}
	if (!scene->lacp.has_partner && carrying > 1)
		abort();
	if (lacp_next(&scene->lacp) <= scene->now)
		abort();
}

/* A good one, of what the input has: what is told of us is right in most, and all of four partners. */
static size_t say(struct scene *scene, unsigned number, const uint8_t *data, size_t left)
{
	uint8_t bytes[LACP_PDU_LEN], fields[4] = { 0 };
	size_t take = MIN(left, sizeof(fields));
	struct lacp_pdu pdu = { .partner = scene->links[number].actor };

	memcpy(fields, data, take);
	pdu.actor = (struct lacp_info){ .system_priority = 1,
					.system = 0x09 + (fields[0] & 3),
					.key = fields[0] >> 2 & 1,
					.port = fields[1],
					.state = fields[2] };
	if (fields[3] & 1)
		pdu.partner.state = fields[3];
	if (fields[3] & 2)
		pdu.partner.key++;
	lacp_pdu_encode(&pdu, bytes);
	lacp_receive(&scene->lacp, &scene->links[number], bytes, sizeof(bytes), scene->now);
	return take;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene scene;
	struct lacp_config config = { .system = 0x0a, .system_priority = 5, .key = 1 };
	size_t at = 0;

	if (!size)
		return 0;
	config.fast = data[at] & 1;
	config.passive = data[at] & 2;
	config.fallback = data[at++] & 4;
	scene = (struct scene){ .now = 1000 * LACP_SECOND };
	lacp_init(&scene.lacp, &fuzz_ops, &config, scene.now);
	for (unsigned i = 0; i < LINKS; i++) {
		lacp_add(&scene.lacp, &scene.links[i], (uint16_t)(i + 1), 1, scene.now);
		lacp_link_up(&scene.lacp, &scene.links[i], true, scene.now);
	}
	while (at < size) {
		uint8_t step = data[at++];
		unsigned number = step & 3;
		struct lacp_link *link = &scene.links[number];

		switch (step >> 2 & 3) {
		case 0:
			scene.now += (step >> 4) * LACP_SECOND / 3 + 1;
			lacp_run(&scene.lacp, scene.now);
			break;
		case 1:
			lacp_link_up(&scene.lacp, link, !link->up, scene.now);
			break;
		case 2: {
			size_t length = MIN(size - at, (size_t)LACP_PDU_LEN + (step >> 4));
			uint8_t *copy =
				malloc(length); /* its own, so that reading beyond it is seen */

			if (length)
				memcpy(copy, data + at, length);
			lacp_receive(&scene.lacp, link, copy, length, scene.now);
			free(copy);
			at += length;
			break;
		}
		default:
			at += say(&scene, number, data + at, size - at);
		}
		lacp_run(&scene.lacp, scene.now);
		check(&scene);
	}
	return 0;
}
