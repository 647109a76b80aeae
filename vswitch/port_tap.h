/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port on a TAP interface:
 *
 *	port_tap.c		frames between it and the switch
 *	port_tap_queues.c	its queues: which are read next, and which a frame is written on
 *	port_tap_again.c	how it comes back after its interface was deleted
 */
#ifndef TENON_VSWITCH_PORT_TAP_H
#define TENON_VSWITCH_PORT_TAP_H

#include <pthread.h>

#include "netdev/tap.h"
#include "netdev/tap_batch.h"
#include "util/bytes.h"
#include "vswitch/flow_queue.h"
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

struct port_tap_queue {
	struct port_watch watch;
	bool readable;  /* since the last look at the epoll set; then it waits for its turn */
	bool met;       /* in this round */
	uint8_t expect; /* how many frames to try to read at once, in a round that begins */
	uint8_t batch;  /* and in this round, of which */
	uint8_t got;    /* so many came */
};

struct port_tap {
	struct port port;
	char name[IFNAMSIZ];
	struct tap tap;
	struct tap_batch *reads, *writes; /* NULL: one system call for each frame */
	struct port_tap_queue *queues;    /* as many as `options` says */
	/* Those that are readable, in the order of their turns, from `first` on, round the end. */
	uint8_t turns[TAP_QUEUES_MAX];
	unsigned first, waiting;
	struct flow_queues flows; /* what they sent first on */
	unsigned most;            /* frames in one batch, as large as the last ones were */
	uint8_t *buffers;         /* PORT_BURST + 1 slots; the last is for transmit() */
	struct port_tap_slot slots[PORT_BURST];
	struct port_tap_out outgoing[PORT_BURST]; /* transmit()'s */

	/* For taking it again. */
	struct tap_options options;
	struct tap next;
	struct tap_batch *next_reads, *next_writes;
	bool looking; /* there is a thread to join */
	bool taken;   /* `next` is the interface, and another port's; in calls */
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
void port_tap_make_batches(struct tap_batch **reads, struct tap_batch **writes,
			   const struct tap *tap);

/* Watches the queues of `of`, and reads all of them next. A negative errno: watches none. */
int port_tap_watch(struct port_tap *tap, const struct tap *of);
void port_tap_unwatch(struct port_tap *tap);
/* Takes the queue whose turn is next, of those that wait; and has one wait that was not read to its end. */
unsigned port_tap_take_turn(struct port_tap *tap);
void port_tap_give_turn(struct port_tap *tap, unsigned number);
/* The interface has sent a frame on a queue. */
void port_tap_flow_seen(struct port_tap *tap, unsigned number, const struct frame *frame);
/* The queue that it is to get a frame on. */
unsigned port_tap_queue_for(const struct port_tap *tap, const struct frame *frame);

/* Its interface was deleted, as `code` tells: it is looked for from now on. On the port's thread. */
void port_tap_gone(struct port_tap *tap, int code);

/* Before anything else: what looking needs; and its end, on whatever thread. */
void port_tap_again_begin(struct port_tap *tap);
void port_tap_again_end(struct port_tap *tap);

#endif
