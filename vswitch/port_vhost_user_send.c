/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames from the switch to the rings of a vhost-user guest, by groups: as many receive buffers as the frames need are popped (more than one for a
 * frame only with mergeable buffers), filled in order, and shown together at the end of the burst; what was popped and is not needed is put back.
 * Taking them has them fetched; see port_vhost_user_ring.c.
 */
#include <errno.h>

#include "util/bytes.h"
#include "vswitch/internal.h"
#include "vswitch/port_vhost_user.h"

/* Receive buffers for a group of frames, as many as there is room for. */
struct buffer_group {
	struct virtqueue *vq;
	struct virtqueue_space space;
	unsigned popped; /* of rx_chains */
	unsigned used;   /* of these, by the frames of the group */
	unsigned frames;
	struct {
		unsigned first,
			buffers; /* of rx_chains; 0: the frame is dropped, and was counted */
	} shares[PORT_BURST];
};

/* Pops up to `count` buffers more. False if there is none, or one breaks the queue. */
static bool pop_buffers(struct port_vhost_user *vhost, struct buffer_group *group, unsigned count)
{
	struct virtqueue_chain *chains = &vhost->rx_chains[group->popped];
	unsigned most = ARRAY_SIZE(vhost->rx_chains) - group->popped;
	unsigned got = virtqueue_pop_burst(group->vq, &group->space, chains, MIN(count, most));

	for (unsigned i = 0; i < got; i++)
		if (chains[i].readable || chains[i].writable_bytes < vhost->header_size)
			virtqueue_break(group->vq,
					"a receive buffer is readable, or too short for a header");
	if (group->vq->broken)
		port_vhost_user_tell_broken(vhost, group->vq);
	group->popped += got;
	return got && !group->vq->broken;
}

/* Whether there is room for one more buffer. */
static bool group_has_room(const struct port_vhost_user *vhost, const struct buffer_group *group)
{
	return group->space.capacity >= group->space.longest &&
	       group->popped < ARRAY_SIZE(vhost->rx_chains);
}

/* Finds buffers for `need` bytes: 0, -EMSGSIZE (never), -ENOBUFS (not now). */
static int share_out(struct port_vhost_user *vhost, struct buffer_group *group, size_t need)
{
	unsigned most = vhost->negotiated & VIRTIO_NET_BIT(MRG_RXBUF) ? PORT_VHOST_USER_BUFFERS : 1;
	unsigned count = 0;
	size_t bytes = 0;

	while (bytes < need) {
		if (count == most)
			return -EMSGSIZE;
		if (group->used + count == group->popped) {
			if (!group_has_room(vhost, group))
				return group->used ? -ENOBUFS : -EMSGSIZE;
			if (!pop_buffers(vhost, group, PORT_BURST))
				return -ENOBUFS;
		}
		bytes += vhost->rx_chains[group->used + count++].writable_bytes;
	}
	group->shares[group->frames].first = group->used;
	group->shares[group->frames].buffers = count;
	group->used += count;
	return 0;
}

static void share_among(struct port_vhost_user *vhost, struct frame *const *frames, unsigned count,
			struct buffer_group *group)
{
	for (; group->frames < count; group->frames++) {
		size_t need = vhost->header_size + frames[group->frames]->length;
		int rc;

		if (group->used < group->popped &&
		    vhost->rx_chains[group->used].writable_bytes >= need) {
			group->shares[group->frames].first = group->used++;
			group->shares[group->frames].buffers = 1;
			continue;
		}
		rc = share_out(vhost, group, need);
		if (rc == -ENOBUFS)
			break;
		if (rc) {
			port_drop(&vhost->port, PORT_DROP_TOO_LONG);
			group->shares[group->frames].buffers = 0;
		}
	}
}

/* Gathers buffers for as many of the frames as there is room for. */
static void gather(struct port_vhost_user *vhost, struct frame *const *frames, unsigned count,
		   struct buffer_group *group)
{
	group->space = (struct virtqueue_space){ vhost->rx_pieces, PORT_VHOST_USER_PIECES, 0,
						 PORT_VHOST_USER_CHAIN };
	group->popped = group->used = group->frames = 0;
	if (pop_buffers(vhost, group, count))
		share_among(vhost, frames, count, group);
	if (group->vq->broken) {
		virtqueue_push_burst(group->vq, vhost->rx_chains, NULL, group->popped);
		group->used = group->frames = 0;
	} else if (group->popped > group->used) {
		virtqueue_rewind(group->vq, &vhost->rx_chains[group->used],
				 group->popped - group->used);
	}
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

static void make_header(const struct port_vhost_user *vhost, const struct frame *frame,
			unsigned buffers, struct virtio_net_header *header)
{
	virtio_net_encode(&frame->offload, header);
	if (!(vhost->port.features & VIRTIO_NET_BIT(GUEST_CSUM)))
		header->flags = 0;
	header->num_buffers = htole16((uint16_t)buffers);
}

static void fill_buffers(struct port_vhost_user *vhost, const struct frame *frame,
			 const struct virtqueue_chain *chains, unsigned buffers, uint32_t *written)
{
	size_t left = vhost->header_size + frame->length;
	struct cursor to = { chains[0].iov, 0 };
	struct virtio_net_header header;

	make_header(vhost, frame, buffers, &header);
	append(&to, &header, vhost->header_size);
	for (unsigned i = 0; i < frame->count; i++)
		append(&to, frame->pieces[i].iov_base, frame->pieces[i].iov_len);
	/* All but the last are filled whole. */
	for (unsigned i = 0; i < buffers; i++) {
		written[i] = (uint32_t)MIN(left, (size_t)chains[i].writable_bytes);
		left -= written[i];
	}
}

/* The same of most frames: into one buffer in one piece, with a short head, asking for nothing. False, and nothing done: it is none
 * of these. */
static inline bool fill_plain(struct port_vhost_user *vhost, const struct frame *frame,
			      const struct virtqueue_chain *chain, unsigned buffers,
			      uint32_t *written)
{
	/* A whole header, by words: from a structure it is stored by fields and loaded whole, which no processor forwards. */
	const uint64_t asks_nothing = 0;
	const uint32_t one_buffer = htole32(1 << 16);
	size_t head = frame->pieces[0].iov_len;
	uint8_t *to = chain->iov->iov_base;

	if (buffers != 1 || chain->writable != 1 || head > PORT_VHOST_USER_SHORT ||
	    vhost->header_size != sizeof(struct virtio_net_header) ||
	    !virtio_net_asks_nothing(&frame->offload))
		return false;
	_Static_assert(offsetof(struct virtio_net_header, num_buffers) == 10, "virtio 1.2, 5.1.6");
	memcpy(to, &asks_nothing, sizeof(asks_nothing));
	memcpy(to + 8, &one_buffer, sizeof(one_buffer));
	to += sizeof(struct virtio_net_header);
	port_vhost_user_copy_short(to, frame->pieces[0].iov_base, head);
	to += head;
	for (unsigned i = 1; i < frame->count; i++) {
		memcpy(to, frame->pieces[i].iov_base, frame->pieces[i].iov_len);
		to += frame->pieces[i].iov_len;
	}
	*written = (uint32_t)sizeof(struct virtio_net_header) + frame->length;
	return true;
}

/* Fills the group's buffers; returns how many frames are done with. */
static unsigned send_group(struct port_vhost_user *vhost, struct frame *const *frames,
			   const struct buffer_group *group)
{
	uint32_t written[PORT_VHOST_USER_BUFFERS + PORT_BURST];
	uint64_t sent = 0, bytes = 0;

	for (unsigned i = 0; i < group->frames; i++) {
		unsigned first = group->shares[i].first, buffers = group->shares[i].buffers;
		const struct virtqueue_chain *chains;

		/* It was dropped, and has none: nor a first one. */
		if (!buffers)
			continue;
		chains = &vhost->rx_chains[first];
		if (!fill_plain(vhost, frames[i], chains, buffers, &written[first]))
			fill_buffers(vhost, frames[i], chains, buffers, &written[first]);
		sent++;
		bytes += frames[i]->length;
	}
	virtqueue_push_burst(group->vq, vhost->rx_chains, written, group->used);
	vhost->port.counters.tx_frames += sent;
	vhost->port.counters.tx_bytes += bytes;
	return group->frames;
}

/* All on one queue. */
static unsigned transmit_on(struct port_vhost_user *vhost, struct virtqueue *vq,
			    struct frame *const *frames, unsigned count)
{
	unsigned done = 0, sent;

	if (!vq || vq->broken || !vq->enabled) {
		vhost->port.counters.drops[PORT_DROP_RX_DISABLED] += count;
		return count;
	}
	do {
		struct buffer_group group;

		group.vq = vq;
		gather(vhost, frames + done, count - done, &group);
		sent = send_group(vhost, frames + done, &group);
		done += sent;
	} while (sent && done < count);
	return done;
}

static void notify_receivers(struct port_vhost_user *vhost)
{
	for (unsigned i = 0; i < vhost->pairs_begun; i++) {
		struct virtqueue *vq = vhost->pairs[i].rx;

		if (vq && virtqueue_notify_pending(vq))
			virtqueue_notify(vq);
	}
}

unsigned port_vhost_user_room(struct port *port)
{
	const struct port_vhost_user *vhost = vhost_user_of(port);
	unsigned room = 0;

	for (unsigned i = 0; i < vhost->pairs_begun; i++) {
		const struct virtqueue *vq = vhost->pairs[i].rx;

		room += vq && vq->enabled ? virtqueue_offered(vq) : 0;
	}
	return room;
}

/* Those that follow one another and are for one queue go at once. Where one of these is full the caller is told of the first frame that
 * found no room, and comes again with those behind it. */
unsigned port_vhost_user_transmit(struct port *port, struct frame *const *frames, unsigned count)
{
	struct port_vhost_user *vhost = vhost_user_of(port);
	unsigned done = 0, run = count, sent;

	do {
		const struct port_vhost_user_pair *pair =
			port_vhost_user_receiver(vhost, frames[done]);

		if (vhost->receiver_count > 1)
			for (run = 1; done + run < count &&
				      port_vhost_user_receiver(vhost, frames[done + run]) == pair;)
				run++;
		sent = transmit_on(vhost, pair->rx, frames + done, run);
		done += sent;
	} while (sent == run && done < count);
	notify_receivers(vhost);
	return done;
}
