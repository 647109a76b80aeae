/* SPDX-License-Identifier: BSD-2-Clause */
/* How a vhost-user port is shown: where it is, how far its front-end and driver are, and what they negotiated. */
#include <stdio.h>

#include "util/bytes.h"
#include "vswitch/port_accept.h"
#include "vswitch/port_vhost_user.h"

/* The first queue that its guest broke; or NULL. */
static const struct virtqueue *find_broken(const struct port_vhost_user *vhost)
{
	for (unsigned i = 0; i < vhost->pairs_begun; i++) {
		const struct virtqueue *rx = vhost->pairs[i].rx, *tx = vhost->pairs[i].tx;

		if (rx && rx->broken)
			return rx;
		if (tx && tx->broken)
			return tx;
	}
	return NULL;
}

static void describe_state(const struct port_vhost_user *vhost, char state[PORT_TEXT_MAX])
{
	const struct virtqueue *broken = find_broken(vhost);

	if (!vhost->backend && vhost->client)
		snprintf(state, PORT_TEXT_MAX, "%.*s", PORT_TEXT_MAX - 1,
			 vhost->last.code ? vhost->last.text : "connecting");
	else if (!vhost->backend)
		snprintf(state, PORT_TEXT_MAX, "%s",
			 vhost->socket.fd >= 0
				 ? port_waiting(&vhost->socket, "waiting for a front-end")
				 : "closed");
	else if (broken)
		snprintf(state, PORT_TEXT_MAX, "broken by its guest: %s", broken->broken);
	else if (!vhost->receiver_count || !vhost->pairs[0].tx)
		snprintf(state, PORT_TEXT_MAX, "connected, no driver yet");
	else
		snprintf(state, PORT_TEXT_MAX, "up");
}

static void describe_features(uint64_t negotiated, char text[PORT_TEXT_MAX])
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = { { VIRTIO_NET_F_CSUM, "csum" },
		      { VIRTIO_NET_F_HOST_TSO4, "tso4" },
		      { VIRTIO_NET_F_HOST_TSO6, "tso6" },
		      { VIRTIO_NET_F_HOST_USO, "uso" },
		      { VIRTIO_NET_F_GUEST_CSUM, "guest_csum" },
		      { VIRTIO_NET_F_GUEST_TSO4, "guest_tso4" },
		      { VIRTIO_NET_F_GUEST_TSO6, "guest_tso6" },
		      { VIRTIO_NET_F_GUEST_USO4, "guest_uso" },
		      { VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf" },
		      { VIRTIO_RING_F_INDIRECT_DESC, "indirect" },
		      { VIRTIO_RING_F_EVENT_IDX, "event_idx" },
		      { VIRTIO_F_RING_PACKED, "packed" },
		      { VIRTIO_F_IN_ORDER, "in_order" },
		      { VIRTIO_NET_F_GUEST_ANNOUNCE, "announce" } };
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names) && used < PORT_TEXT_MAX; i++)
		if (negotiated >> names[i].bit & 1)
			used += (size_t)snprintf(text + used, PORT_TEXT_MAX - used, "%s%s",
						 used ? " " : "", names[i].name);
}

void port_vhost_user_describe(struct port *port, char where[PORT_TEXT_MAX],
			      char state[PORT_TEXT_MAX], char text[PORT_TEXT_MAX])
{
	const struct port_vhost_user *vhost = vhost_user_of(port);

	snprintf(where, PORT_TEXT_MAX, "%s",
		 vhost->client        ? vhost->server.sun_path
		 : vhost->socket.path ? vhost->socket.path
				      : "");
	describe_state(vhost, state);
	describe_features(vhost->negotiated, text);
	if (vhost->negotiated & VIRTIO_NET_BIT(MQ)) {
		size_t used = strlen(text);

		snprintf(text + used, PORT_TEXT_MAX - used, " queues=%u", vhost->receiver_count);
	}
}
