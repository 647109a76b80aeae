/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user-blk device as a struct block: how a command reaches a volume that a running server
 * owns, how `tenon copy` reads and writes a disk that a foreign server exports, and how the server is
 * tested.
 *
 * The server gets a memfd with the queues and a pool of buffers, in and out of which data is copied; and the
 * caller's memory, if it has some to share: data that lies there is not copied.
 */
#ifndef TENON_VIRTIO_VHOST_USER_BLK_CLIENT_H
#define TENON_VIRTIO_VHOST_USER_BLK_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

struct block;
struct error;
struct guest_memory;

struct vhost_user_blk_client_options {
	/* Memory whose regions have files (guest_memory_create_region()), to be shared with the server; it must not
	 * change while the device is open. NULL: none. */
	const struct guest_memory *memory;
	unsigned queues; /* at most so many, which requests take in turns; 0: one */
};

/*
 * Connects to the server on the unix socket `path` (or over the connected socket `fd`, taken over also
 * when it fails) and makes a block device of it, whose home is the current worker. On a fiber, which waits for the
 * server. `options` may be NULL. Errors: those of vhost_user_frontend_connect(), and -EPROTO where it is no disk.
 * When the server goes away, requests fail with -ENOTCONN; when it is stopped (by a signal), with -ETIMEDOUT after
 * some seconds. A server that runs is waited for as long as its disk takes. Where a fiber is cancelled that waits,
 * all requests, also those of others and later ones, fail with -ECANCELED. What the server had not begun of requests that failed so it
 * does not begin any more; of the rest it is not known whether they were done, or will be: our server lets nobody in before that, also
 * not the one who comes back. A new size is told to block_watch()ers.
 */
int vhost_user_blk_client_open(struct block **out, const char *path,
			       const struct vhost_user_blk_client_options *options,
			       struct error *error);
int vhost_user_blk_client_adopt(struct block **out, int fd, const char *name,
				const struct vhost_user_blk_client_options *options,
				struct error *error);

/* The process that serves it; 0 where that is not known or `block` is something else. */
pid_t vhost_user_blk_client_server(const struct block *block);

#endif
