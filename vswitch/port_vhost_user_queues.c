/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of its queues a guest gets a frame on (virtio 1.2, 5.1.6.5.6, "automatic receive steering"): that of the pair on which it
 * last sent one of the same flow, so that a connection stays with the processor that its program is on; of a flow that it
 * has not sent in yet, one by the flow's hash. Either way the frames of a flow have one queue, and stay in order.
 *
 * Where the guest has one pair that it receives on, nothing is hashed.
 */
#include "vswitch/bond_hash.h"
#include "vswitch/port_vhost_user.h"
#include "vswitch/vlan.h"

void port_vhost_user_queues_changed(struct port_vhost_user *vhost)
{
	unsigned begun = 0, receivers = 0;

	for (unsigned i = 0; i < vhost->pair_count; i++) {
		const struct port_vhost_user_pair *pair = &vhost->pairs[i];

		if (pair->rx || pair->tx)
			begun = i + 1;
		if (pair->rx && pair->rx->enabled)
			vhost->receivers[receivers++] = (uint8_t)i;
	}
	vhost->pairs_begun = begun;
	vhost->receiver_count = receivers;
	/* Those of another driver, or of one that uses fewer, mean nothing now. */
	memset(vhost->flows, 0, sizeof(vhost->flows));
}

static bool is_tag(uint16_t type)
{
	return type == VLAN_TYPE || type == VLAN_TYPE_S;
}

/* Of both ways of a flow the same, also where only one of them has a tag, or offloads (whose heads are longer). */
static uint32_t flow_of(const struct frame *frame)
{
	const uint8_t *head = frame->pieces[0].iov_base;
	size_t length = MIN(frame->pieces[0].iov_len, (size_t)FRAME_HEAD_PLAIN), network = VLAN_AT;

	while (length >= network + VLAN_TAG_SIZE + 2 && is_tag(get_be16(head + network)))
		network += VLAN_TAG_SIZE;
	return bond_hash(BOND_LAYER34, 0, head, length, network);
}

void port_vhost_user_flow_seen(struct port_vhost_user *vhost, unsigned pair,
			       const struct frame *frame)
{
	uint8_t *flow = &vhost->flows[flow_of(frame) % PORT_VHOST_USER_FLOWS];

	/* Others read it meanwhile: the one before or this one, both are true. */
	if (__atomic_load_n(flow, __ATOMIC_RELAXED) != pair + 1)
		__atomic_store_n(flow, (uint8_t)(pair + 1), __ATOMIC_RELAXED);
}

struct port_vhost_user_pair *port_vhost_user_receiver(struct port_vhost_user *vhost,
						      const struct frame *frame)
{
	struct port_vhost_user_pair *pair;
	unsigned known;
	uint32_t flow;

	if (vhost->receiver_count < 2)
		return &vhost->pairs[vhost->receiver_count ? vhost->receivers[0] : 0];
	flow = flow_of(frame);
	known = __atomic_load_n(&vhost->flows[flow % PORT_VHOST_USER_FLOWS], __ATOMIC_RELAXED);
	pair = &vhost->pairs[known ? known - 1 : 0];
	if (known && pair->rx && pair->rx->enabled)
		return pair;
	/* Of other bits than the table's. */
	return &vhost->pairs[vhost->receivers[(flow >> 16) % vhost->receiver_count]];
}
