/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames as datagrams: what ports on datagram and packet sockets have in common. Each datagram is a frame, maybe with a
 * virtio-net header of 10 bytes before it. A burst in and a burst out are one system call each.
 */
#ifndef TENON_VSWITCH_DATAGRAMS_H
#define TENON_VSWITCH_DATAGRAMS_H

#include <sys/socket.h>

#include "vswitch/port.h"

#define DATAGRAM_HEADER  10  /* a virtio-net header without num_buffers */
#define DATAGRAM_PIECES  64  /* frames in more are copied together first */
#define DATAGRAM_CONTROL 128 /* bytes of ancillary data of each */

struct datagram_slot {
	struct frame frame;
	struct iovec pieces[2]; /* what is received into: header, buffer */
	struct iovec piece;     /* the frame in the buffer */
	struct virtio_net_header header;
	char control[DATAGRAM_CONTROL] __attribute__((aligned(8)));
};

struct datagram_out {
	struct virtio_net_header header;
	struct iovec pieces[1 + DATAGRAM_PIECES];
};

struct datagrams {
	int in, out;   /* sockets, maybe the same; the owner's. -1: none */
	bool header;   /* each frame has one */
	bool control;  /* ancillary data are wanted */
	bool peers;    /* unix sockets, whose senders may send files (util/peer_file.h) */
	bool readable; /* since the last look at the epoll set */
	/* Looks at what came, before it is decoded, and may change it; false: it is not a frame for us. Optional. */
	bool (*look)(struct datagrams *datagrams, struct datagram_slot *slot,
		     const struct msghdr *message);
	uint8_t *buffers; /* PORT_BURST + 1; the last is for sending */
	bool told;        /* that what is next cannot be taken */
	struct datagram_slot slots[PORT_BURST];
	struct datagram_out sending[PORT_BURST];
};

/* Before a received frame there is room for a tag. */
#define DATAGRAM_ROOM 4

/* Buffers, and `in` and `out` -1. -ENOMEM. */
int datagrams_create(struct datagrams *datagrams);
void datagrams_destroy(struct datagrams *datagrams);

unsigned datagrams_receive(struct datagrams *datagrams, struct port *port, struct frame **frames,
			   unsigned max);
/* One, into slot `index`. NULL: there is none, or none that can be a frame; that is counted. */
struct frame *datagrams_receive_one(struct datagrams *datagrams, struct port *port, unsigned index);
/* That of a slot whose `header` and `piece` are set. NULL: it cannot be a frame, and that is counted. */
struct frame *datagram_frame(struct datagram_slot *slot, struct port *port);

unsigned datagrams_transmit(struct datagrams *datagrams, struct port *port,
			    struct frame *const *frames, unsigned count);

#endif
