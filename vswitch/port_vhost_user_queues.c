/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of its queues a guest gets a frame on (virtio 1.2, 5.1.6.5.6, "automatic receive steering"): that of the pair on which it
 * last sent one of the same flow, so that a connection stays with the processor that its program is on; of a flow that it
 * has not sent in yet, one by the flow's hash. Either way the frames of a flow have one queue, and stay in order.
 *
 * Where the guest has one pair that it receives on, nothing is hashed.
 */
#include "vswitch/port_vhost_user.h"

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
	flow_queues_forget(&vhost->flows);
}

void port_vhost_user_flow_seen(struct port_vhost_user *vhost, unsigned pair,
			       const struct frame *frame)
{
	flow_queues_note(&vhost->flows, flow_hash(frame, false), pair);
}

struct port_vhost_user_pair *port_vhost_user_receiver(struct port_vhost_user *vhost,
						      const struct frame *frame)
{
	struct port_vhost_user_pair *pair;
	unsigned known;
	uint32_t hash;

	if (vhost->receiver_count < 2)
		return &vhost->pairs[vhost->receiver_count ? vhost->receivers[0] : 0];
	hash = flow_hash(frame, false);
	known = flow_queues_find(&vhost->flows, hash, vhost->pair_count);
	pair = &vhost->pairs[known < vhost->pair_count ? known : 0];
	if (known < vhost->pair_count && pair->rx && pair->rx->enabled)
		return pair;
	return &vhost->pairs[vhost->receivers[flow_queue_by_hash(hash, vhost->receiver_count)]];
}
