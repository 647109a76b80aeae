/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between the switch and the rings of a vhost-user guest.
 *
 * From the guest: chains are popped in bursts; the virtio-net header and the frame's head are copied, the
 * rest stays in the guest's buffers until release() gives the chains back. To the guest: as many receive
 * buffers as the frame needs are popped (more than one only with mergeable buffers), filled in order,
 * and shown together at the end of the burst; if there are too few, those popped are put back.
 */
#include <errno.h>

#include "util/bytes.h"
#include "util/log.h"
#include "vswitch/internal.h"
#include "vswitch/port_vhost_user.h"

#define LONG_PLAIN 1024

static void tell_broken(struct port_vhost_user *vhost, const struct virtqueue *vq)
{
	if (!vhost->told_broken[vq->index])
		log_warning(vhost->port.log, "port %s: its guest broke queue %u: %s",
			    vhost->port.name, vq->index, vq->broken);
	vhost->told_broken[vq->index] = true;
}

/* ---- From the guest ---- */

/*
 * Makes a frame of a popped chain, whose pieces have a free one before them. False, and counted, if it
 * cannot be forwarded.
 */
static bool take_frame(struct port_vhost_user *vhost, struct port_vhost_user_slot *slot,
		       const struct virtqueue_chain *chain)
{
	struct virtio_net_header header = { 0 };
	size_t skip, length, head;
	enum virtio_net_fault fault;
	unsigned first = 0;

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
	for (skip = vhost->header_size + head; first < chain->readable; first++) {
		if (skip < chain->iov[first].iov_len)
			break;
		skip -= chain->iov[first].iov_len;
	}
	if (first < chain->readable) {
		chain->iov[first].iov_base = (uint8_t *)chain->iov[first].iov_base + skip;
		chain->iov[first].iov_len -= skip;
	}
	slot->frame.pieces = chain->iov + first - 1;
	slot->frame.pieces[0] = (struct iovec){ slot->head, head };
	slot->frame.count = chain->readable - first + 1;
	slot->frame.length = (uint32_t)length;
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

unsigned port_vhost_user_receive(struct port *port, struct frame **frames, unsigned max)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	struct virtqueue *vq = vhost->tx;
	unsigned pieces = 0, count = 0;

	if (vhost->announcing)
		return take_announcement(vhost, frames);
	if (!vq || !virtqueue_prefetch(vq, max))
		return 0;
	for (unsigned tries = 0; count < max && tries < 2 * PORT_BURST &&
				 pieces + PORT_VHOST_USER_CHAIN < PORT_VHOST_USER_PIECES;
	     tries++) {
		struct virtqueue_chain chain = { .iov = &vhost->tx_pieces[pieces + 1],
						 .capacity = PORT_VHOST_USER_PIECES - pieces - 1 };
		int got = virtqueue_pop(vq, &chain);

		if (got < 0)
			tell_broken(vhost, vq);
		if (got <= 0)
			break;
		if (!vq->enabled) {
			port_drop(port, PORT_DROP_TX_DISABLED);
			virtqueue_push(vq, &chain, 0);
		} else if (!take_frame(vhost, &vhost->slots[count], &chain)) {
			virtqueue_push(vq, &chain, 0);
		} else {
			vhost->slots[count].chain = chain;
			frames[count] = &vhost->slots[count].frame;
			count++;
			pieces += chain.readable + 1;
		}
	}
	vhost->received = count;
	/* Chains that gave no frame are back already. */
	if (!count)
		port_vhost_user_release(port);
	return count;
}

void port_vhost_user_release(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);

	if (!vhost->tx)
		return;
	for (unsigned i = 0; i < vhost->received; i++)
		virtqueue_push(vhost->tx, &vhost->slots[i].chain, 0);
	vhost->received = 0;
	if (virtqueue_notify_pending(vhost->tx))
		virtqueue_notify(vhost->tx);
}

/* ---- To the guest ---- */

/* Receive buffers popped for one frame. */
struct buffers {
	unsigned count, pieces;
	size_t bytes;
	struct virtqueue_chain chains[PORT_VHOST_USER_BUFFERS];
};

/* Pops one buffer. 1, 0 if there is none, or -EPROTO. */
static int pop_buffer(struct port_vhost_user *vhost, struct buffers *buffers)
{
	struct virtqueue_chain *chain = &buffers->chains[buffers->count];
	int got;

	chain->iov = &vhost->rx_pieces[buffers->pieces];
	chain->capacity = PORT_VHOST_USER_PIECES - buffers->pieces;
	got = virtqueue_pop(vhost->rx, chain);
	if (got > 0 && (chain->readable || chain->writable_bytes < vhost->header_size)) {
		virtqueue_break(vhost->rx,
				"a receive buffer is readable, or too short for a header");
		got = -EPROTO;
	}
	if (got < 0)
		tell_broken(vhost, vhost->rx);
	if (got <= 0)
		return got;
	buffers->count++;
	buffers->pieces += chain->writable;
	buffers->bytes += chain->writable_bytes;
	return 1;
}

/* Pops buffers for `need` bytes. Else puts them back: -EMSGSIZE (never), -ENOBUFS (not now). */
static int gather(struct port_vhost_user *vhost, size_t need, struct buffers *buffers)
{
	bool mergeable = vhost->negotiated & VIRTIO_NET_BIT(MRG_RXBUF);
	unsigned most = mergeable ? PORT_VHOST_USER_BUFFERS : 1;
	bool too_long = false;

	buffers->count = buffers->pieces = 0;
	buffers->bytes = 0;
	while (buffers->bytes < need) {
		if (buffers->count == most ||
		    buffers->pieces + PORT_VHOST_USER_CHAIN > PORT_VHOST_USER_PIECES) {
			too_long = true;
			break;
		}
		if (pop_buffer(vhost, buffers) <= 0)
			break;
	}
	if (buffers->bytes >= need)
		return 0;
	virtqueue_rewind(vhost->rx, buffers->chains, buffers->count);
	return too_long ? -EMSGSIZE : -ENOBUFS;
}

/* Where the next byte goes in the receive buffers. */
struct cursor {
	const struct iovec *piece;
	size_t offset;
};

static void append(struct cursor *to, const void *from, size_t length)
{
	const uint8_t *at = from;

	while (length) {
		size_t take = MIN(length, to->piece->iov_len - to->offset);

		memcpy((uint8_t *)to->piece->iov_base + to->offset, at, take);
		at += take;
		length -= take;
		to->offset += take;
		if (to->offset == to->piece->iov_len) {
			to->piece++;
			to->offset = 0;
		}
	}
}

/* False: there is no room now. */
static bool transmit_one(struct port_vhost_user *vhost, const struct frame *frame)
{
	size_t left = vhost->header_size + frame->length;
	struct cursor to = { vhost->rx_pieces, 0 };
	struct virtio_net_header header;
	struct buffers buffers;
	int rc;

	rc = gather(vhost, left, &buffers);
	if (rc == -EMSGSIZE)
		port_drop(&vhost->port, PORT_DROP_TOO_LONG);
	if (rc)
		return rc == -EMSGSIZE;
	virtio_net_encode(&frame->offload, &header);
	if (!(vhost->port.features & VIRTIO_NET_BIT(GUEST_CSUM)))
		header.flags = 0;
	header.num_buffers = htole16((uint16_t)buffers.count);
	append(&to, &header, vhost->header_size);
	for (unsigned i = 0; i < frame->count; i++)
		append(&to, frame->pieces[i].iov_base, frame->pieces[i].iov_len);
	/* All but the last are filled whole. */
	for (unsigned i = 0; i < buffers.count; i++) {
		const struct virtqueue_chain *chain = &buffers.chains[i];
		uint32_t written = (uint32_t)MIN(left, (size_t)chain->writable_bytes);

		virtqueue_push(vhost->rx, chain, written);
		left -= written;
	}
	port_count_tx(&vhost->port, frame);
	return true;
}

unsigned port_vhost_user_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	struct virtqueue *vq = vhost->rx;
	unsigned done = 0;

	if (!vq || vq->broken || !vq->enabled) {
		port->counters.drops[PORT_DROP_RX_DISABLED] += count;
		return count;
	}
	while (done < count && transmit_one(vhost, frames[done]))
		done++;
	if (virtqueue_notify_pending(vq))
		virtqueue_notify(vq);
	return done;
}

/* ---- Sleeping ---- */

bool port_vhost_user_arm(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);

	if (!vhost->tx || vhost->tx->broken)
		return false;
	/* A front-end that gave no kick eventfd asked for polling. */
	return virtqueue_enable_kicks(vhost->tx) || vhost->tx->kick_fd < 0;
}

void port_vhost_user_disarm(struct port *port)
{
	struct port_vhost_user *vhost = vhost_user_of(port);

	if (vhost->tx && !vhost->tx->broken)
		virtqueue_disable_kicks(vhost->tx);
}
