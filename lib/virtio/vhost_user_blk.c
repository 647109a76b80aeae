/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user-blk server: see vhost_user_blk.h.
 *
 * One fiber of the worker accepts (vhost_user_blk_accept.c); each client has a fiber that reads its messages
 * (vhost_user_blk_clients.c), and each of its queues that runs has a poller with a worker (vhost_user_blk_queue.c). Requests are fibers of their own (virtio_blk.c).
 */
#include "virtio/vhost_user_blk_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/list.h"
#include "util/log.h"
#include "util/unix_socket.h"

/* Enough for QEMU, which wants as many queues as the guest has processors; a queue that is not
 * started costs nothing. */
#define DEFAULT_QUEUES 16

/* The disk has another size. What else may change is seen by requests. */
static void disk_changed(struct block_watch *watch, struct block *block, unsigned what)
{
	struct vhost_user_blk_server *server =
		container_of(watch, struct vhost_user_blk_server, watch);

	(void)block;
	if (!(what & BLOCK_CHANGED_SIZE))
		return;
	list_for_each(at, &server->clients) {
		struct vhost_user_blk_client *client =
			list_entry(at, struct vhost_user_blk_client, node);
		int rc = vhost_user_backend_config_changed(client->backend);

		if (rc < 0)
			log_info(server->log,
				 "%s: the client is not told that the disk has changed: %s",
				 server->name,
				 rc == -EOPNOTSUPP ? "it has no channel for that" : error_name(rc));
	}
}

static struct vhost_user_blk_server *create(struct block *block, const char *name,
					    const struct vhost_user_blk_options *options)
{
	static const struct vhost_user_blk_options defaults;
	struct vhost_user_blk_server *server = calloc(1, sizeof(*server));
	const char *serial;

	if (!server || !(server->name = strdup(name))) {
		free(server);
		return NULL;
	}
	options = options ? options : &defaults;
	serial = options->serial ? options->serial : block->name;
	memcpy(server->serial, serial, strnlen(serial, VIRTIO_BLK_SERIAL_BYTES));
	server->queue_count = options->queue_count ? options->queue_count : DEFAULT_QUEUES;
	server->log = options->log;
	server->pin_memory = options->pin_memory;
	server->shared = options->shared;
	server->kept = options->kept;
	server->kept_arg = options->kept_arg;
	server->workers = options->workers;
	server->worker_count = options->workers ? options->worker_count : 0;
	server->listener.fd = -1;
	server->block = block_ref(block);
	server->watch.changed = disk_changed;
	block_watch(block, &server->watch);
	list_init(&server->clients);
	fiber_queue_init(&server->client_left);
	return server;
}

static void destroy(struct vhost_user_blk_server *server)
{
	unix_listener_close(&server->listener);
	block_unwatch(&server->watch);
	block_unref(server->block);
	free(server->name);
	free(server);
}

int vhost_user_blk_server_start(struct vhost_user_blk_server **out, struct block *block,
				const char *path, const struct vhost_user_blk_options *options,
				struct error *error)
{
	struct vhost_user_blk_server *server = create(block, path, options);
	int rc = 0;

	if (!server)
		return error_set(error, -ENOMEM, "%s: out of memory", path);
	if (options && options->listener) {
		server->listener = *options->listener;
		*options->listener = (struct unix_listener){ .fd = -1 };
	} else {
		rc = unix_listen_for(&server->listener, path, options ? options->access : NULL,
				     error);
	}
	if (rc == 0)
		rc = blk_server_listen(server, options ? options->acceptor : NULL, error);
	if (rc < 0) {
		destroy(server);
		return rc;
	}
	*out = server;
	return 0;
}

int vhost_user_blk_server_adopt(struct vhost_user_blk_server **out, struct block *block, int fd,
				const char *name, const struct vhost_user_blk_options *options,
				struct error *error)
{
	struct vhost_user_blk_server *server = create(block, name, options);
	int rc;

	if (!server) {
		close(fd);
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	}
	rc = blk_server_add_client(server, fd, error);
	if (rc < 0) {
		destroy(server);
		return rc;
	}
	*out = server;
	return 0;
}

void vhost_user_blk_server_stop(struct vhost_user_blk_server *server)
{
	if (!server)
		return;
	server->stopping = true;
	blk_server_stop_listening(server);
	/* No new client finds the socket while those present are seen off. */
	unix_listener_close(&server->listener);
	list_for_each(at, &server->clients) {
		struct vhost_user_blk_client *client =
			list_entry(at, struct vhost_user_blk_client, node);

		if (client->fiber)
			fiber_cancel(client->fiber);
	}
	while (server->client_count)
		fiber_queue_wait_always(&server->client_left);
	destroy(server);
}

void vhost_user_blk_server_status(const struct vhost_user_blk_server *server,
				  struct vhost_user_blk_status *out)
{
	*out = server->gone;
	out->clients = 0;
	list_for_each(at, &server->clients) {
		const struct vhost_user_blk_client *client =
			list_entry(at, struct vhost_user_blk_client, node);

		if (out->clients < VHOST_USER_BLK_PEERS)
			out->peers[out->clients] = client->peer;
		out->clients++;
		blk_client_add_counters(out, client);
	}
}
