/* SPDX-License-Identifier: BSD-2-Clause */
/* A port on a TAP interface (port_tap.c), and how it comes back after its interface was deleted (port_tap_again.c). */
#ifndef TENON_VSWITCH_PORT_TAP_H
#define TENON_VSWITCH_PORT_TAP_H

#include <pthread.h>

#include "netdev/tap.h"
#include "netdev/tap_batch.h"
#include "util/bytes.h"
#include "vswitch/port.h"

/* Frames in more pieces are copied together first: writev() takes 1024, and fewer are faster. */
#define PORT_TAP_PIECES 64

/* Shorter ones, too: the kernel takes one piece for less than it takes to look at two. */
#define PORT_TAP_SHORT 256

struct port_tap_slot {
	struct frame frame;
	struct iovec buffer; /* what is read into */
	struct iovec piece;  /* the frame in it */
};

/* A frame on its way out. */
struct port_tap_out {
	struct virtio_net_header header;
	uint8_t bytes[PORT_TAP_SHORT]; /* of a short frame, right behind its header */
	struct iovec pieces[1 + PORT_TAP_PIECES];
};
_Static_assert(offsetof(struct port_tap_out, bytes) == sizeof(struct virtio_net_header),
	       "header and short frame are one piece");

struct port_tap {
	struct port port;
	char name[IFNAMSIZ];
	struct tap tap;
	struct tap_batch *reads, *writes; /* NULL: one system call for each frame */
	struct port_watch watch;
	bool readable;    /* since the last look at the epoll set */
	unsigned expect;  /* how many frames to try to read at once */
	uint8_t *buffers; /* PORT_BURST + 1 slots; the last is for transmit() */
	struct port_tap_slot slots[PORT_BURST];
	struct port_tap_out outgoing[PORT_BURST]; /* transmit()'s */

	/* For taking it again. */
	struct tap_options options;
	struct tap next;
	struct tap_batch *next_reads, *next_writes;
	bool looking; /* there is a thread to join */
	bool stopping;
	pthread_mutex_t lock; /* of `stopping` */
	pthread_cond_t stop;
	pthread_t thread;
};

static inline struct port_tap *tap_of(struct port *port)
{
	return container_of(port, struct port_tap, port);
}

/* What may be sent there: the kernel takes all kinds but UDP segments, which old ones know neither way. */
uint64_t port_tap_features(const struct tap *tap);
void port_tap_make_batches(struct tap_batch **reads, struct tap_batch **writes, int fd);
/* Its watch's. */
void port_tap_ready(struct port_watch *watch);

/* Its interface was deleted, as `code` tells: it is looked for from now on. On the port's thread. */
void port_tap_gone(struct port_tap *tap, int code);

/* Before anything else: what looking needs; and its end, on whatever thread. */
void port_tap_again_begin(struct port_tap *tap);
void port_tap_again_end(struct port_tap *tap);

#endif
