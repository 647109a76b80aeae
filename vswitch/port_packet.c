/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port on an interface of the host: see port_packet.h, netdev/packet.h.
 *
 * The kernel takes tags off frames that come in, and tells them aside: they are put back where they were, so that the switch
 * sees what the wire had. With the header, large frames and unfinished checksums pass between the host's veth and
 * guests as they are.
 *
 * States: up, and down, when the interface is down, without a carrier, or deleted: that is looked at ten times in a second, as Linux's
 * bonding does of its links. One that comes up again is heard again; one that is made anew is another one, and the port stays down.
 */
#include "vswitch/port_packet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev/link.h"
#include "netdev/packet.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "vswitch/datagrams.h"
#include "vswitch/internal.h"
#include "vswitch/port_link.h"
#include "vswitch/port_place.h"
#include "vswitch/vlan.h"

#define LOOK_NS                                                                                    \
	100000000ULL /* between two looks at the interface's state, and at what was dropped */

struct port_packet {
	struct port port;
	struct packet_socket packet;
	struct port_watch watch;
	struct datagrams datagrams;
	struct timer carrier;
	uint64_t dropped, dropped_before; /* by the kernel; until the last look at the carrier */
	bool heard;                       /* something was taken out of the ring since then */
	bool gone;                        /* and that was said */
};

static struct port_packet *packet_of(struct port *port)
{
	return container_of(port, struct port_packet, port);
}

static void packet_ready(struct port_watch *watch)
{
	packet_of(watch->port)->datagrams.readable = true;
}

/* Puts a tag back that the kernel took off. */
static void put_tag(struct datagram_slot *slot, uint32_t tag)
{
	uint8_t *frame = slot->piece.iov_base;

	if (!tag || slot->piece.iov_len < VIRTIO_NET_FRAME_MIN)
		return;
	memmove(frame - VLAN_TAG_SIZE, frame, VLAN_AT);
	put_be32(frame - VLAN_TAG_SIZE + VLAN_AT, tag);
	slot->piece.iov_base = frame - VLAN_TAG_SIZE;
	slot->piece.iov_len += VLAN_TAG_SIZE;
	if (slot->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		slot->header.csum_start =
			htole16((uint16_t)(le16toh(slot->header.csum_start) + VLAN_TAG_SIZE));
}

static bool restore_tag(struct datagrams *datagrams, struct datagram_slot *slot,
			const struct msghdr *message)
{
	(void)datagrams;
	put_tag(slot, packet_tag(message));
	return true;
}

static struct frame *frame_in_ring(struct port_packet *packet, struct datagram_slot *slot,
				   const struct packet_ring_frame *found)
{
	slot->header = (struct virtio_net_header){ 0 };
	if (found->header)
		memcpy(&slot->header, found->header, DATAGRAM_HEADER);
	slot->piece = (struct iovec){ found->bytes, found->length };
	put_tag(slot, found->tag);
	return datagram_frame(slot, &packet->port);
}

/* NULL: what was next came to nothing, and that is counted. */
static struct frame *take_from_ring(struct port_packet *packet, unsigned index,
				    enum packet_ring_found what,
				    const struct packet_ring_frame *found)
{
	switch (what) {
	case PACKET_RING_FRAME:
		return frame_in_ring(packet, &packet->datagrams.slots[index], found);
	case PACKET_RING_QUEUED:
		return datagrams_receive_one(&packet->datagrams, &packet->port, index);
	case PACKET_RING_CUT:
		port_drop(&packet->port, PORT_DROP_OVERRUN);
		return NULL;
	default:
		port_drop(&packet->port, PORT_DROP_BAD_LENGTH);
		return NULL;
	}
}

static unsigned receive_from_ring(struct port_packet *packet, struct frame **frames, unsigned max)
{
	unsigned looked = 0, count = 0;

	if (!packet->datagrams.readable)
		return 0;
	while (looked < max) {
		struct packet_ring_frame found;
		enum packet_ring_found what = packet_ring_take(&packet->packet.ring, &found);
		struct frame *frame;

		if (what == PACKET_RING_NOTHING)
			break;
		frame = take_from_ring(packet, looked++, what, &found);
		if (frame)
			frames[count++] = frame;
	}
	packet->datagrams.readable = looked == max;
	packet->heard |= looked > 0;
	/* It was said to be readable, and no frame is there. */
	if (!looked)
		packet_clear_error(&packet->packet);
	if (!count)
		packet_ring_release(&packet->packet.ring);
	return count;
}

static unsigned packet_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_packet *packet = packet_of(port);

	return packet->packet.ring.slots ? receive_from_ring(packet, frames, max)
					 : datagrams_receive(&packet->datagrams, port, frames, max);
}

static void packet_release(struct port *port)
{
	packet_ring_release(&packet_of(port)->packet.ring);
}

static unsigned packet_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	return datagrams_transmit(&packet_of(port)->datagrams, port, frames, count);
}

static void count_drops(struct port_packet *packet)
{
	uint64_t drops = packet_drops(&packet->packet);

	packet->dropped += drops;
	packet->port.counters.drops[PORT_DROP_OVERRUN] += drops;
}

/* `there`: else it was deleted. */
static bool has_carrier(const struct port_packet *packet, bool *there)
{
	unsigned flags = 0;

	*there = packet_flags(&packet->packet, &flags);
	return *there && flags & IFF_UP && flags & IFF_RUNNING;
}

/* Frames are dropped, and nothing fills the ring: it has come to its end (see packet_ring.h). Between rounds, with the port's lock. */
static void leave_ring_that_ended(struct port_packet *packet)
{
	struct port *port = &packet->port;
	bool ended;
	int rc;

	count_drops(packet);
	ended = packet->dropped != packet->dropped_before && !packet->heard &&
		packet->packet.ring.slots && packet_ring_is_empty(&packet->packet.ring);
	packet->dropped_before = packet->dropped;
	packet->heard = false;
	if (!ended)
		return;
	rc = packet_ring_end(&packet->packet.ring, packet->packet.fd);
	packet->datagrams.readable = true;
	if (rc)
		log_warning(port->log,
			    "port %s: interface %s: its ring of received frames came to its end, "
			    "and cannot be left (%s): remove the port and add it",
			    port->name, packet->packet.name, error_name(rc));
	else
		log_info(port->log,
			 "port %s: interface %s: a frame came that the kernel cannot describe, and "
			 "ended the ring of received frames: they are read",
			 port->name, packet->packet.name);
}

/* The socket says that the interface is down once, and of its carrier nothing. */
static void carrier_due(struct timer *timer)
{
	struct port_packet *packet = container_of(timer, struct port_packet, carrier);
	struct port *port = &packet->port;
	bool there, up = has_carrier(packet, &there);

	vswitch_lock_if_shared(port->vswitch, &port->out_lock);
	leave_ring_that_ended(packet);
	if (!there && !packet->gone)
		log_warning(port->log,
			    "port %s: interface %s is gone; one that is made anew is another one: "
			    "remove the port and add it then",
			    port->name, packet->packet.name);
	packet->gone = !there;
	if (up != port->up) {
		log_info(port->log, "port %s: interface %s is %s", port->name, packet->packet.name,
			 up ? "up" : "down, or without a carrier");
		port_set_up(port, up);
	}
	vswitch_unlock_if_shared(port->vswitch, &port->out_lock);
	port_timer_arm(port, timer, port_now(port) + LOOK_NS);
}

static void packet_destroy(struct port *port)
{
	struct port_packet *packet = packet_of(port);

	port_unwatch(&packet->watch);
	packet_close(&packet->packet);
	datagrams_destroy(&packet->datagrams);
	free(packet);
}

/* Two would each take every frame, and send what the other took back to where it came from. */
static int check_is_alone(const struct port_packet *packet, struct error *error)
{
	const struct vswitch *vswitch = packet->port.vswitch;

	for (unsigned i = 0; i < vswitch->port_count; i++) {
		struct port *lower = port_link_lower(vswitch->list[i]);
		struct port *other = lower ? lower : vswitch->list[i];

		if (other == &packet->port || other->ops->destroy != packet_destroy ||
		    !packet_same(&packet->packet, &packet_of(other)->packet))
			continue;
		return error_set(error, -EBUSY,
				 "switch %s: port %s: interface %s is port %s's already",
				 vswitch->name, packet->port.name, packet->packet.name,
				 other->name);
	}
	return 0;
}

static int packet_attach(struct port *port, struct error *error)
{
	struct port_packet *packet = packet_of(port);
	struct link_place place;
	int rc = check_is_alone(packet, error);

	if (!rc && packet_place(&packet->packet, &place))
		rc = port_check_place(port, &place, error);
	if (rc)
		return rc;
	rc = port_watch(port, &packet->watch, packet->packet.fd, packet_ready);
	if (rc)
		return error_set(error, rc, "port %s: cannot watch interface %s: %s", port->name,
				 packet->packet.name, error_name(rc));
	if (!packet->packet.ring.slots)
		log_info(port->log,
			 "port %s: interface %s: no ring of received frames (%s): they are read",
			 port->name, packet->packet.name, error_name(packet->packet.refused));
	packet->carrier.expire = carrier_due;
	port_timer_arm(port, &packet->carrier, port_now(port) + LOOK_NS);
	return 0;
}

static void packet_detach(struct port *port)
{
	port_timer_disarm(port, &packet_of(port)->carrier);
}

static bool packet_port_place(struct port *port, struct link_place *place)
{
	return packet_place(&packet_of(port)->packet, place);
}

static void packet_describe(struct port *port, char where[PORT_TEXT_MAX], char state[PORT_TEXT_MAX],
			    char text[PORT_TEXT_MAX])
{
	struct port_packet *packet = packet_of(port);
	unsigned flags = 0;
	bool there = packet_flags(&packet->packet, &flags);

	count_drops(packet);
	port_place_text(port, packet->packet.name, where);
	snprintf(state, PORT_TEXT_MAX, "%s",
		 !there                ? "gone"
		 : !(flags & IFF_UP)   ? "down: the interface is not up on the host"
		 : flags & IFF_RUNNING ? "up"
				       : "no carrier");
	snprintf(text, PORT_TEXT_MAX, "%s%s", packet->packet.header ? "csum tso4 tso6 ecn " : "",
		 packet->packet.ring.slots ? "ring" : "");
}

static const struct port_ops ops = {
	.type = "packet",
	.attach = packet_attach,
	.detach = packet_detach,
	.receive = packet_receive,
	.release = packet_release,
	.transmit = packet_transmit,
	.place = packet_port_place,
	.describe = packet_describe,
	.destroy = packet_destroy,
};

int vswitch_add_port_packet(struct vswitch *vswitch, const char *name, const char *ifname,
			    const struct vswitch_packet_options *options, struct error *error)
{
	struct packet_options opened = { .plain = options && options->plain,
					 .netns = options ? options->netns : 0 };
	struct port_packet *packet = calloc(1, sizeof(*packet));
	bool there;
	int rc;

	if (!packet)
		return error_set(error, -ENOMEM, "port %s: out of memory", name);
	packet->port.ops = &ops;
	packet->watch.fd = packet->packet.fd = -1;
	rc = datagrams_create(&packet->datagrams);
	if (rc)
		error_set(error, rc, "out of memory");
	else
		rc = packet_open(&packet->packet, ifname, &opened, error);
	if (rc) {
		packet_destroy(&packet->port);
		error_prefix(error, "port %s", name);
		return rc;
	}
	packet->datagrams.in = packet->datagrams.out = packet->packet.fd;
	packet->datagrams.header = packet->packet.header;
	packet->datagrams.control = packet->datagrams.readable = true;
	packet->datagrams.look = restore_tag;
	if (packet->packet.header)
		packet->port.features = VIRTIO_NET_GUEST_OFFLOADS &
					~(VIRTIO_NET_BIT(GUEST_USO4) | VIRTIO_NET_BIT(GUEST_USO6));
	packet->port.up = has_carrier(packet, &there);
	return vswitch_add_port_as(vswitch, &packet->port, name, options ? options->config : NULL,
				   error);
}
