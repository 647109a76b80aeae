/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NIC of a vhost-user port, as the protocol engine sees it: what it offers, the queues that begin and end, and what a
 * front-end says in its guest's place.
 */
#include <errno.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/event.h"
#include "util/log.h"
#include "virtio/vhost_user_backend.h"
#include "vswitch/internal.h"
#include "vswitch/port_vhost_user.h"

/* What a driver does by the control queue, which is the front-end's, and whose commands need nothing of us but what the front-end says
 * by its own messages. A driver whose front-end has none (user-mode Linux) refuses a device with these, so they are offered only where
 * several pairs were asked for. */
#define BY_CONTROL_QUEUE (VIRTIO_NET_BIT(MQ) | VIRTIO_NET_BIT(GUEST_ANNOUNCE))

static uint64_t features(void *device)
{
	const struct port_vhost_user *vhost = device;

	return VIRTQUEUE_FEATURES | VIRTQUEUE_IN_ORDER | VIRTIO_NET_HOST_OFFLOADS |
	       VIRTIO_NET_GUEST_OFFLOADS | VIRTIO_NET_BIT(MRG_RXBUF) |
	       (vhost->pair_count > 1 ? BY_CONTROL_QUEUE : 0);
}

static void features_set(void *device, uint64_t negotiated)
{
	struct port_vhost_user *vhost = device;
	bool full = negotiated & (1ULL << VIRTIO_F_VERSION_1 | VIRTIO_NET_BIT(MRG_RXBUF));

	vhost->negotiated = negotiated;
	port_set_features(&vhost->port, negotiated & VIRTIO_NET_GUEST_OFFLOADS);
	vhost->header_size = full ? sizeof(struct virtio_net_header) : PORT_VHOST_USER_HEADER_SHORT;
}

static unsigned queue_count(void *device)
{
	const struct port_vhost_user *vhost = device;

	return 2 * vhost->pair_count;
}

static void kicked(struct port_watch *watch)
{
	struct port_vhost_user_pair *pair = container_of(watch, struct port_vhost_user_pair, kick);
	const struct port *port = watch->port;
	int taken = event_take(watch->fd);

	if (taken < 0) {
		log_warning(port->log, "port %s: its guest's kicks cannot be taken: %s", port->name,
			    error_name(taken));
		port_unwatch(watch);
	} else if (taken && pair->tx) {
		virtqueue_count_kick(pair->tx);
	}
}

static int queue_start(void *device, unsigned index, struct virtqueue *vq)
{
	struct port_vhost_user *vhost = device;
	struct port_vhost_user_pair *pair = &vhost->pairs[index / 2];
	int rc = 0;

	pair->told_broken[index % 2] = false;
	/* Frames of one burst may come twice after a switch was killed in it; none is lost. */
	virtqueue_resume_in_order(vq);
	virtqueue_disable_kicks(vq);
	if (index % 2 && vq->kick_fd >= 0)
		rc = port_watch(&vhost->port, &pair->kick, vq->kick_fd, kicked);
	if (rc)
		return rc;
	*(index % 2 ? &pair->tx : &pair->rx) = vq;
	port_vhost_user_queues_changed(vhost);
	return 0;
}

static void queue_stop(void *device, unsigned index)
{
	struct port_vhost_user *vhost = device;
	struct port_vhost_user_pair *pair = &vhost->pairs[index / 2];

	/* Between bursts no chain is in our hands. */
	if (index % 2) {
		port_unwatch(&pair->kick);
		pair->tx = NULL;
		pair->taken = 0;
	} else {
		pair->rx = NULL;
	}
	port_vhost_user_queues_changed(vhost);
}

static void queue_enable(void *device, unsigned index, bool enabled)
{
	(void)index, (void)enabled;
	port_vhost_user_queues_changed(device);
}

/* The longest frame that its wire takes, from the guest's MTU, which the front-end's user chose; 0: no limit. */
static void limit_frames(struct port_vhost_user *vhost, size_t most)
{
	vhost->port.frame_max = most;
	if (vhost->port.over)
		__atomic_store_n(&vhost->port.over->frame_max, most, __ATOMIC_RELAXED);
}

/* IPv4 needs 68 (RFC 791); virtio's field has 16 bits. */
static int set_mtu(void *device, uint64_t mtu)
{
	if (mtu < 68 || mtu > UINT16_MAX)
		return -EINVAL;
	limit_frames(device, mtu + VIRTIO_NET_FRAME_MIN);
	return 0;
}

/*
 * After a migration the network must learn where the guest is now. Where it cannot say so itself (VIRTIO_NET_F_GUEST_ANNOUNCE) a
 * frame comes from its address, as if it had sent it: a reverse ARP request (RFC 903), which all learn from and nobody answers.
 */
static void send_rarp(void *device, const uint8_t mac[6])
{
	struct port_vhost_user *vhost = device;
	uint8_t *bytes = vhost->announcement_bytes;

	if (!mac_is_station(mac_from_bytes(mac))) {
		log_warning(vhost->port.log,
			    "port %s: its front-end has an address announced that "
			    "no station has",
			    vhost->port.name);
		return;
	}
	memset(bytes, 0, sizeof(vhost->announcement_bytes));
	memset(bytes, 0xff, 6);
	memcpy(bytes + 6, mac, 6);
	put_be16(bytes + 12, 0x8035);
	put_be16(bytes + 14, 1); /* Ethernet */
	put_be16(bytes + 16, 0x0800);
	bytes[18] = 6;
	bytes[19] = 4;
	put_be16(bytes + 20, 3); /* who am I? */
	memcpy(bytes + 22, mac, 6);
	memcpy(bytes + 32, mac, 6);
	vhost->announcing = true;
}

static void reset(void *device)
{
	struct port_vhost_user *vhost = device;

	features_set(device, 0);
	limit_frames(vhost, 0);
	vhost->announcing = false;
}

const struct vhost_user_backend_ops port_vhost_user_device = {
	.run_disabled = true,
	.in_pairs = true,
	.features = features,
	.features_set = features_set,
	.queue_count = queue_count,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_enable = queue_enable,
	.reset = reset,
	.set_mtu = set_mtu,
	.send_rarp = send_rarp,
};
