/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between the switch and the rings of a vhost-user guest.
 *
 * What costs most is that the lines of rings and buffers are with another processor. So both ways have two passes over a burst: the
 * first takes chains, which has their buffers fetched, and the second, when they are there, copies.
 *
 * From the guest: the virtio-net header and the frame's head are copied, the
 * rest stays in the guest's buffers until release() gives the chains back. To the guest: port_vhost_user_send.c.
 */
#include <errno.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/port_vhost_user.h"

#define LONG_PLAIN 1024

void port_vhost_user_tell_broken(struct port_vhost_user *vhost, const struct virtqueue *vq)
{
	bool *told = &vhost->pairs[vq->index / 2].told_broken[vq->index % 2];

	if (!*told)
		log_warning(vhost->port.log, "port %s: its guest broke queue %u: %s",
			    vhost->port.name, vq->index, vq->broken);
	*told = true;
}

/* ---- From the guest ---- */

/* Makes the first part of a frame's pieces of a chain's, which have a free one before them: the head, then what lies behind `skip`
 * bytes. */
static void lay_out(struct port_vhost_user_slot *slot, const struct virtqueue_chain *chain,
		    size_t skip, size_t head, size_t length)
{
	unsigned first = 0;

	while (first < chain->readable && skip >= chain->iov[first].iov_len)
		skip -= chain->iov[first++].iov_len;
	if (first < chain->readable) {
		chain->iov[first].iov_base = (uint8_t *)chain->iov[first].iov_base + skip;
		chain->iov[first].iov_len -= skip;
	}
	slot->frame.pieces = chain->iov + first - 1;
	slot->frame.pieces[0] = (struct iovec){ slot->head, head };
	slot->frame.count = chain->readable - first + 1;
	slot->frame.length = (uint32_t)length;
}

/*
 * Makes a frame of a popped chain, whose pieces have a free one before them. False, and counted, if it
 * cannot be forwarded.
 */
static bool take_frame(struct port_vhost_user *vhost, struct port_vhost_user_slot *slot,
		       const struct virtqueue_chain *chain)
{
	struct virtio_net_header header = { 0 };
	enum virtio_net_fault fault;
	size_t length, head;

	if (chain->readable_bytes < vhost->header_size + VIRTIO_NET_FRAME_MIN) {
		port_drop(&vhost->port, PORT_DROP_BAD_LENGTH);
		return false;
	}
	length = chain->readable_bytes - vhost->header_size;
	frame_copy_out(chain->iov, chain->readable, 0, &header, vhost->header_size);
	/* One that is long may yet be cut (tunnel_fit()), for which all its headers have to be there. */
	head = MIN(length, header.flags || header.gso_type || length > LONG_PLAIN
				   ? (size_t)VIRTIO_NET_HEAD_MAX
				   : (size_t)FRAME_HEAD_PLAIN);
	frame_copy_out(chain->iov, chain->readable, vhost->header_size, slot->head, head);
	fault = virtio_net_decode(&header, slot->head, head, length, &slot->frame.offload);
	if (fault != VIRTIO_NET_FAULT_NONE) {
		port_drop(&vhost->port, port_drop_of_fault(fault));
		return false;
	}
	/* A driver has no business vouching for checksums (5.1.6.2.1). */
	slot->frame.offload.checksum_valid = false;
	lay_out(slot, chain, vhost->header_size + head, head, length);
	return true;
}

/* The same of most frames: in one buffer with a whole header before it, not long, asking for nothing. False, and nothing done: it is
 * none of these. */
static inline bool take_plain(const struct port_vhost_user *vhost,
			      struct port_vhost_user_slot *slot,
			      const struct virtqueue_chain *chain)
{
	const struct iovec *iov = chain->iov;
	const uint8_t *from = iov->iov_base;
	size_t length = iov->iov_len - sizeof(struct virtio_net_header), head;
	uint16_t asks;

	if (chain->readable != 1 || vhost->header_size != sizeof(struct virtio_net_header) ||
	    iov->iov_len < sizeof(struct virtio_net_header) + VIRTIO_NET_FRAME_MIN ||
	    length > LONG_PLAIN)
		return false;
	/* Flags and kind of segmentation at once; what else there is says nothing without them. */
	_Static_assert(offsetof(struct virtio_net_header, gso_type) == 1, "virtio 1.2, 5.1.6");
	memcpy(&asks, from, sizeof(asks));
	if (asks)
		return false;
	from += sizeof(struct virtio_net_header);
	head = MIN(length, (size_t)PORT_VHOST_USER_SHORT);
	port_vhost_user_copy_short(slot->head, from, head);
	slot->frame.offload = (struct virtio_net_offload){ 0 };
	slot->frame.length = (uint32_t)length;
	slot->frame.pieces = chain->iov - 1;
	slot->frame.pieces[0] = (struct iovec){ slot->head, head };
	slot->frame.count = 1;
	if (length > head) {
		chain->iov[0] = (struct iovec){ (uint8_t *)(uintptr_t)from + head, length - head };
		slot->frame.count = 2;
	}
	return true;
}

/* The frame in the guest's place, alone: it takes none of the ring. */
static unsigned take_announcement(struct port_vhost_user *vhost, struct frame **frames)
{
	vhost->announcing = false;
	vhost->announcement_piece =
		(struct iovec){ vhost->announcement_bytes, sizeof(vhost->announcement_bytes) };
	vhost->announcement = (struct frame){ .pieces = &vhost->announcement_piece,
					      .count = 1,
					      .length = sizeof(vhost->announcement_bytes) };
	frames[0] = &vhost->announcement;
	return 1;
}

/* The frames of a pair, whose chains come behind `taken` others. Returns how many of `frames` there are then. */
static inline unsigned take_of(struct port_vhost_user *vhost, unsigned number,
			       struct virtqueue_space *space, unsigned taken, unsigned max,
			       struct frame **frames, unsigned count)
{
	struct port_vhost_user_pair *pair = &vhost->pairs[number];
	struct virtqueue_chain *chains = &vhost->tx_chains[taken];
	struct virtqueue *vq = pair->tx;
	unsigned got = virtqueue_pop_burst(vq, space, chains, max - taken);
	bool several = vhost->pairs_begun > 1;

	pair->first = taken;
	pair->taken = got;
	if (vq->broken)
		port_vhost_user_tell_broken(vhost, vq);
	if (!vq->enabled)
		vhost->port.counters.drops[PORT_DROP_TX_DISABLED] += got;
	for (unsigned i = 0; vq->enabled && i < got; i++) {
		struct port_vhost_user_slot *slot = &vhost->slots[count];

		if (!take_plain(vhost, slot, &chains[i]) && !take_frame(vhost, slot, &chains[i]))
			continue;
		if (several)
			port_vhost_user_flow_seen(vhost, number, &slot->frame);
		frames[count++] = &slot->frame;
	}
	return count;
}

unsigned port_vhost_user_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	struct virtqueue_space space = { vhost->tx_pieces, PORT_VHOST_USER_PIECES, 1,
					 PORT_VHOST_USER_CHAIN };
	unsigned count = 0, taken = 0, number = vhost->turn;

	if (vhost->announcing)
		return take_announcement(vhost, frames);
	max = MIN(max, PORT_BURST);
	for (unsigned i = 0; i < vhost->pairs_begun && taken < max; i++, number++) {
		const struct port_vhost_user_pair *pair;

		if (number >= vhost->pairs_begun)
			number = 0;
		pair = &vhost->pairs[number];
		if (!pair->tx || pair->tx->broken)
			continue;
		count = take_of(vhost, number, &space, taken, max, frames, count);
		taken += pair->taken;
	}
	/* Whose turn was cut short has the next. */
	vhost->turn = number < vhost->pairs_begun ? number : 0;
	/* Nobody says that they are done with. */
	if (taken && !count)
		port_vhost_user_release(port);
	return count;
}

void port_vhost_user_release(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);

	for (unsigned i = 0; i < vhost->pairs_begun; i++) {
		struct port_vhost_user_pair *pair = &vhost->pairs[i];

		if (!pair->taken || !pair->tx)
			continue;
		virtqueue_push_burst(pair->tx, &vhost->tx_chains[pair->first], NULL, pair->taken);
		pair->taken = 0;
		if (virtqueue_notify_pending(pair->tx))
			virtqueue_notify(pair->tx);
	}
}

/* ---- Sleeping ---- */

bool port_vhost_user_arm(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	bool came = false;

	for (unsigned i = 0; i < vhost->pairs_begun; i++) {
		struct virtqueue *vq = vhost->pairs[i].tx;

		/* A front-end that gave no kick eventfd asked for polling. */
		if (vq && !vq->broken && (virtqueue_enable_kicks(vq) || vq->kick_fd < 0))
			came = true;
	}
	return came;
}

void port_vhost_user_disarm(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);

	for (unsigned i = 0; i < vhost->pairs_begun; i++) {
		struct virtqueue *vq = vhost->pairs[i].tx;

		if (vq && !vq->broken)
			virtqueue_disable_kicks(vq);
	}
}
