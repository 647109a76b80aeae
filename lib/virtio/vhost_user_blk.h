/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user-blk server: serves one struct block on a unix socket, on the block's home worker, and its queues
 * on others too where the block allows it.
 *
 * A writable device has one client at a time: another that connects waits a second for the first to
 * leave, and is then turned away. A read-only or shared one has up to 256 clients at once. When a client
 * goes, its requests in flight are waited for before its memory is unmapped, so a vanished guest harms
 * nothing.
 *
 * Requests in flight are noted in memory that the client keeps, where it can do that: a server that is killed and
 * started again carries on with them when the client comes back.
 *
 * A change of the device's size is told to the clients, whose guests see it at once; a client that cannot be told
 * sees it when it connects again.
 *
 * The worker polls the rings of busy clients, and sleeps (using no CPU) when nothing comes.
 */
#ifndef TENON_VIRTIO_VHOST_USER_BLK_H
#define TENON_VIRTIO_VHOST_USER_BLK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "virtio/virtio_blk.h"

struct block;
struct error;
struct log;
struct unix_listener;
struct unix_socket_access;
struct vhost_user_blk_acceptor;
struct vhost_user_blk_server;

struct vhost_user_blk_options {
	const char *serial;   /* what GET_ID says; NULL: the block's name */
	uint16_t queue_count; /* 0: 16, so that QEMU can give each guest processor one */
	struct log *log;      /* may be NULL */
	/* Workers that queues may run on, the block's home among them; they run, and the array is there, longer than the
	 * server. Queues are dealt out to them, from the home on, where the block has views (block/view.h). NULL: the home. */
	struct worker *const *workers;
	unsigned worker_count;
	bool shared; /* any number of clients also of a writable device: what they do to each other is theirs to know */
	/* Lock the clients' memory into RAM for the rings of the workers (fiber/pinned.h): large requests cost less. Only where
	 * no client gives memory back to its host while it runs. What cannot be pinned is used as without. */
	bool pin_memory;
	/* Whether the device is kept for one process, which is to come back: others are turned away meanwhile, unless any number
	 * may come. Called when somebody comes, at home, with `kept_arg`; must not suspend. NULL: it is kept for nobody. */
	bool (*kept)(void *arg, pid_t *process);
	void *kept_arg;
	const struct unix_socket_access *access; /* who may connect; NULL: this user */
	/* The socket, if somebody listens already, who may connect or not; taken over unless there is no memory. */
	struct unix_listener *listener;
	struct vhost_user_blk_acceptor
		*acceptor; /* of this worker, for many servers; NULL: one of its own */
};

/* Accepts for many servers of one worker with one fiber. On a fiber of it; ends after them. The second suspends. */
int vhost_user_blk_acceptor_start(struct vhost_user_blk_acceptor **out, struct error *error);
void vhost_user_blk_acceptor_stop(struct vhost_user_blk_acceptor *acceptor); /* NULL is fine */

/*
 * Listens on `path` and serves `block`, on which it takes a reference. On a fiber of the block's home
 * worker. `options` may be NULL. A socket file on which nobody answers
 * any more is replaced. Errors: -ENAMETOOLONG, -EADDRINUSE (somebody answers there), -EEXIST (it is
 * no socket), or bind()'s, with `error` set.
 */
int vhost_user_blk_server_start(struct vhost_user_blk_server **out, struct block *block,
				const char *path, const struct vhost_user_blk_options *options,
				struct error *error);

/* Serves one client, over the connected socket `fd`, which it takes over, also when it fails. `name`
 * is for messages. */
int vhost_user_blk_server_adopt(struct vhost_user_blk_server **out, struct block *block, int fd,
				const char *name, const struct vhost_user_blk_options *options,
				struct error *error);

/* Removes the socket, turns clients out when their requests in flight are done, drops the reference,
 * frees it. Suspends. NULL is fine. */
void vhost_user_blk_server_stop(struct vhost_user_blk_server *server);

/* How many clients are connected, and what was done since the start. */
#define VHOST_USER_BLK_PEERS 8u
struct vhost_user_blk_status {
	unsigned clients;
	int peers[VHOST_USER_BLK_PEERS]; /* processes of the first of them; 0: not known */
	unsigned in_flight;              /* requests that were taken and not answered */
	struct virtio_blk_counters requests;
	struct virtqueue_counters queues;
	uint64_t
		pinned_bytes; /* of clients' memory, once for each worker that their queues run on */
};
void vhost_user_blk_server_status(const struct vhost_user_blk_server *server,
				  struct vhost_user_blk_status *out);

#endif
