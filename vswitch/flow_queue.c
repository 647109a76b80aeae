/* SPDX-License-Identifier: BSD-2-Clause */
/* See flow_queue.h. */
#include "vswitch/flow_queue.h"

#include <string.h>

#include "util/bytes.h"
#include "util/random.h"
#include "vswitch/bond_hash.h"
#include "vswitch/vlan.h"

#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd

#define QUEUE_BITS 0xffu

static bool is_tag(uint16_t type)
{
	return type == VLAN_TYPE || type == VLAN_TYPE_S;
}

uint32_t flow_hash(const struct frame *frame, bool by_type)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	size_t length = MIN(frame->pieces[0].iov_len, (size_t)FRAME_HEAD_PLAIN), network = VLAN_AT;
	uint16_t type;

	while (length >= network + VLAN_TAG_SIZE + 2 && is_tag(get_be16(head + network)))
		network += VLAN_TAG_SIZE;
	type = get_be16(head + network);
	if (by_type && type != TYPE_IPV4 && type != TYPE_IPV6)
		return (uint32_t)random_mix(type);
	return bond_hash(BOND_LAYER34, 0, head, length, network);
}

void flow_queues_forget(struct flow_queues *flows)
{
	memset(flows, 0, sizeof(*flows));
}

/* Where a flow is noted; or the first place that is free, or one that another has. */
static unsigned way_of(const struct flow_queues *flows, uint32_t hash)
{
	const uint32_t *set = flows->at[hash % FLOW_QUEUE_SETS];
	unsigned way = 0;

	while (way < FLOW_QUEUE_WAYS) {
		uint32_t note = __atomic_load_n(&set[way], __ATOMIC_RELAXED);

		if (!note || !((note ^ hash) & ~QUEUE_BITS))
			return way;
		way++;
	}
	return hash / FLOW_QUEUE_SETS % FLOW_QUEUE_WAYS;
}

void flow_queues_note(struct flow_queues *flows, uint32_t hash, unsigned queue)
{
	uint32_t *place = &flows->at[hash % FLOW_QUEUE_SETS][way_of(flows, hash)];
	uint32_t note = (hash & ~QUEUE_BITS) | (queue + 1);

	/* The one before or this one: both are true. */
	if (__atomic_load_n(place, __ATOMIC_RELAXED) != note)
		__atomic_store_n(place, note, __ATOMIC_RELAXED);
}

unsigned flow_queues_find(const struct flow_queues *flows, uint32_t hash, unsigned count)
{
	const uint32_t *place = &flows->at[hash % FLOW_QUEUE_SETS][way_of(flows, hash)];
	uint32_t note = __atomic_load_n(place, __ATOMIC_RELAXED);

	if (!note || (note ^ hash) & ~QUEUE_BITS)
		return count;
	return (note & QUEUE_BITS) - 1;
}
