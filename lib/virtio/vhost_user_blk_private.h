/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the vhost-user-blk server: vhost_user_blk.c (servers), vhost_user_blk_accept.c (how clients come),
 * vhost_user_blk_clients.c, vhost_user_blk_queue.c (their queues). */
#ifndef TENON_VIRTIO_VHOST_USER_BLK_PRIVATE_H
#define TENON_VIRTIO_VHOST_USER_BLK_PRIVATE_H

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/control_share.h"
#include "util/list.h"
#include "util/unix_socket.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user_backend.h"
#include "virtio/vhost_user_blk.h"

struct vhost_user_blk_server {
	struct block *block;
	struct block_watch watch;
	struct unix_listener listener;
	char *name; /* the socket's path, for messages */
	char serial[VIRTIO_BLK_SERIAL_BYTES + 1];
	uint16_t queue_count;
	struct log *log;
	struct worker *const *workers; /* for queues, the block's home among them */
	unsigned worker_count;
	bool pin_memory, shared;
	bool (*kept)(void *arg, pid_t *process);
	void *kept_arg;
	struct vhost_user_blk_acceptor *acceptor; /* NULL: of one that was adopted */
	struct list accepted;                     /* in the acceptor's */
	bool arriving;                            /* somebody is, or has come; */
	struct fiber *arrival;                    /* this takes them in, once it runs */
	bool stopping;
	struct list clients;
	unsigned client_count;
	struct fiber_queue client_left;
	struct vhost_user_blk_status gone; /* what clients did that have left */
	/* Of all who use the disk: messages, and for how long they were left alone for what these took. */
	struct control_share share;
	uint64_t rested_ns;
};

struct vhost_user_blk_queue {
	struct vhost_user_blk_client *client;
	struct worker *worker; /* that it runs on */
	unsigned place;        /* of that among the server's workers */
	struct block *view;    /* of the disk, where that is not its home; else NULL */
	struct virtio_blk_queue queue;
	struct virtio_blk_counters counters; /* since the client came */
	struct worker_poller poller;
};

/* The client's memory as a worker keeps it for its ring, while queues of the client run there. That worker's alone. */
struct vhost_user_blk_pins {
	unsigned queues;
	unsigned count; /* regions of the client's memory, as far as they could be pinned */
	uint64_t bytes;
	struct worker_pinned *regions[GUEST_MEMORY_MAX_REGIONS];
};

struct vhost_user_blk_client {
	struct list node;
	struct vhost_user_blk_server *server;
	struct vhost_user_backend *backend;
	struct virtio_blk blk;
	struct fiber *fiber; /* NULL before it runs */
	uint64_t away_ns;    /* of its present message: processor time that others had meanwhile */
	bool leaving;        /* is not listened to any more; its last requests may not have ended */
	pid_t peer;          /* its process; 0: not known */
	struct vhost_user_blk_pins
		*pins;         /* for each of the server's workers; NULL: memory is not pinned */
	uint64_t pinned_bytes; /* of all workers, counted atomically */
	struct vhost_user_blk_queue queues[];
};

/* Takes the connected socket over, also when it fails. */
int blk_server_add_client(struct vhost_user_blk_server *server, int fd, struct error *error);

/* Lets clients in that come to `listener`; NULL: by an acceptor of its own. The second suspends. */
int blk_server_listen(struct vhost_user_blk_server *server,
		      struct vhost_user_blk_acceptor *acceptor, struct error *error);
void blk_server_stop_listening(struct vhost_user_blk_server *server);

/* For struct vhost_user_backend_ops; `device` is a client. */
int blk_queue_start(void *device, unsigned index, struct virtqueue *vq);
void blk_queue_stop(void *device, unsigned index);

/* What a client's queues have done so far. */
void blk_client_add_counters(struct vhost_user_blk_status *sum,
			     const struct vhost_user_blk_client *client);

#endif
