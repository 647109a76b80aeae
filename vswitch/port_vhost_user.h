/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the vhost-user port share (port_vhost_user.c): the connection and the queues. */
#ifndef TENON_VSWITCH_PORT_VHOST_USER_H
#define TENON_VSWITCH_PORT_VHOST_USER_H

#include <sys/un.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/timer.h"
#include "util/unix_socket.h"
#include "virtio/virtqueue.h"
#include "vswitch/flow_queue.h"
#include "vswitch/port.h"
#include "vswitch/port_accept.h"
#include "vswitch/switch.h"

struct vhost_user_backend;

/* Pieces of the frames of one burst, and of the receive buffers of one frame. A chain takes at most
 * VIRTQUEUE_MAX_CHAIN, more only if its descriptors lie across regions. */
#define PORT_VHOST_USER_CHAIN  (VIRTQUEUE_MAX_CHAIN + 64)
#define PORT_VHOST_USER_PIECES (2 * PORT_VHOST_USER_CHAIN)

/* A frame of 64 KiB in the smallest receive buffers that Linux gives (1.5 KiB), twice over. */
#define PORT_VHOST_USER_BUFFERS 96

/* Without num_buffers: neither VERSION_1 nor MRG_RXBUF (virtio 1.2, 5.1.6.1). */
#define PORT_VHOST_USER_HEADER_SHORT 10

/* Of a pair, queue 2i is what the guest receives on, queue 2i + 1 what it transmits on (virtio 1.2, 5.1.2). */
struct port_vhost_user_pair {
	struct virtqueue *rx, *tx; /* while they run */
	struct port_watch kick;    /* of `tx` */
	bool told_broken[2];       /* of each queue */
	/* Chains of the port's `tx_chains` that were taken from `tx` and not given back: from `first` on. */
	unsigned first, taken;
};

struct port_vhost_user_slot {
	uint8_t head[VIRTIO_NET_HEAD_MAX];
	struct frame frame;
} __attribute__((aligned(64)));

struct port_vhost_user {
	struct port port;
	struct vhost_user_backend *backend; /* NULL while nobody is connected */
	struct unix_listener socket;        /* path NULL if there is none */
	/* Of that socket; its share of time is that of the front-end's messages, too, and `control` is not watched while it rests. */
	struct port_listener listener;
	struct port_watch control;
	int spare_fd; /* see port_accept() */

	uint64_t negotiated;
	size_t header_size; /* of the virtio-net header */
	unsigned pair_count;
	struct port_vhost_user_pair *pairs;
	unsigned pairs_begun; /* in none from here on does a queue run */
	unsigned turn;        /* the pair whose frames are taken first */
	/* The pairs that the guest receives on: see port_vhost_user_queues.c. */
	unsigned receiver_count;
	uint8_t receivers[VSWITCH_VHOST_USER_PAIRS_MAX];
	struct flow_queues flows; /* the pairs that they are sent on */

	/* A frame that the front-end has us send in its guest's place: see send_rarp(). */
	bool announcing;
	struct frame announcement;
	struct iovec announcement_piece;
	uint8_t announcement_bytes[60];

	/* Chains taken and not given back, and the frames in them. */
	struct virtqueue_chain tx_chains[PORT_BURST];
	struct port_vhost_user_slot slots[PORT_BURST];
	struct iovec tx_pieces[PORT_VHOST_USER_PIECES];
	/* Receive buffers for some frames. */
	struct virtqueue_chain rx_chains[PORT_VHOST_USER_BUFFERS + PORT_BURST];
	struct iovec rx_pieces[PORT_VHOST_USER_PIECES];

	/* Of a client, whose front-end listens. */
	bool client;
	struct sockaddr_un server;
	struct timer retry;
	struct error last; /* why the last try failed */
};

static inline struct port_vhost_user *vhost_user_of(struct port *port)
{
	return container_of(port, struct port_vhost_user, port);
}

/* The device, as the protocol engine sees it. */
struct vhost_user_backend_ops;
extern const struct vhost_user_backend_ops port_vhost_user_device;

/* After a queue began, ended, or was enabled or disabled. */
void port_vhost_user_queues_changed(struct port_vhost_user *vhost);
/* The guest has sent the frame on a pair; its head is there. Where there is one pair, nobody need be told. */
void port_vhost_user_flow_seen(struct port_vhost_user *vhost, unsigned pair,
			       const struct frame *frame);
/* The pair that the guest is to receive a frame on. */
struct port_vhost_user_pair *port_vhost_user_receiver(struct port_vhost_user *vhost,
						      const struct frame *frame);

/* What of a short frame is copied without a call; a whole head of one that asks for nothing. */
#define PORT_VHOST_USER_SHORT 64
_Static_assert(FRAME_HEAD_PLAIN == PORT_VHOST_USER_SHORT, "port_vhost_user_copy_short()");

/* Copies at most PORT_VHOST_USER_SHORT bytes: by pieces from both ends that may meet or overlap. */
static inline void port_vhost_user_copy_short(uint8_t *to, const uint8_t *from, size_t length)
{
	uint8_t part[32];

	if (length >= 32) {
		memcpy(part, from + length - 32, 32);
		memcpy(to, from, 32);
		memcpy(to + length - 32, part, 32);
	} else if (length >= 16) {
		memcpy(part, from + length - 16, 16);
		memcpy(to, from, 16);
		memcpy(to + length - 16, part, 16);
	} else {
		memcpy(to, from, length);
	}
}

/* The guest broke a queue: that is logged, once. */
void port_vhost_user_tell_broken(struct port_vhost_user *vhost, const struct virtqueue *vq);

/* The operation of struct port_ops that says how it is. */
void port_vhost_user_describe(struct port *port, char where[PORT_TEXT_MAX],
			      char state[PORT_TEXT_MAX], char text[PORT_TEXT_MAX]);

/* The operations of struct port_ops that move frames. */
unsigned port_vhost_user_receive(struct port *port, struct frame **frames, unsigned max);
void port_vhost_user_release(struct port *port);
unsigned port_vhost_user_transmit(struct port *port, struct frame *const *frames, unsigned count);
unsigned port_vhost_user_room(struct port *port);
bool port_vhost_user_arm(struct port *port);
void port_vhost_user_disarm(struct port *port);

#endif
