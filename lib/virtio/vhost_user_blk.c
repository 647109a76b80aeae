/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user-blk server: see vhost_user_blk.h.
 *
 * One fiber of the worker accepts (vhost_user_blk_accept.c); each client has a fiber that reads its messages, and each of its queues that
 * runs has a poller with a worker (vhost_user_blk_queue.c). Requests are fibers of their own (virtio_blk.c).
 */
#include "virtio/vhost_user_blk_private.h"

#include <errno.h>
#include <poll.h>
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

/* ---- The protocol engine's calls ---- */

static uint64_t features(void *device)
{
	struct vhost_user_blk_client *client = device;

	return virtio_blk_features(&client->blk);
}

static void features_set(void *device, uint64_t negotiated)
{
	struct vhost_user_blk_client *client = device;

	virtio_blk_set_features(&client->blk, negotiated);
}

static unsigned queue_count(void *device)
{
	struct vhost_user_blk_client *client = device;

	return client->server->queue_count;
}

static int get_config(void *device, uint32_t offset, void *at, uint32_t size)
{
	struct vhost_user_blk_client *client = device;

	return virtio_blk_get_config(&client->blk, offset, at, size);
}

static int set_config(void *device, uint32_t offset, const void *at, uint32_t size, bool migration)
{
	struct vhost_user_blk_client *client = device;

	(void)migration; /* nothing else in it could be taken over */
	return virtio_blk_set_config(&client->blk, offset, at, size);
}

static void reset(void *device)
{
	struct vhost_user_blk_client *client = device;

	client->blk.features = 0;
	client->blk.writeback = true;
}

static const struct vhost_user_backend_ops backend_ops = {
	.inflight = true,
	.features = features,
	.features_set = features_set,
	.queue_count = queue_count,
	.queue_start = blk_queue_start,
	.queue_stop = blk_queue_stop,
	.get_config = get_config,
	.set_config = set_config,
	.reset = reset,
};

/* ---- Clients ---- */

/* Reads messages until the client hangs up, breaks the protocol, or the server stops. */
static int run_client(void *arg)
{
	struct vhost_user_blk_client *client = arg;
	struct vhost_user_blk_server *server = client->server;
	struct error error = { 0 };
	int rc = 0;

	client->fiber = fiber_current();
	while (rc == 0 && !server->stopping) {
		rc = fiber_poll(vhost_user_backend_fd(client->backend), POLLIN, FIBER_FOREVER);
		if (rc >= 0)
			rc = vhost_user_backend_input(client->backend, &error);
	}
	if (rc < 0 && rc != -ENOTCONN && rc != -ECANCELED)
		log_warning(server->log, "%s: the client is turned out: %s", server->name,
			    error.code ? error.text : error_name(rc));
	/* It is there, and has the disk, until its last request has ended. */
	vhost_user_backend_stop(client->backend);
	blk_client_add_counters(&server->gone, client);
	server->gone.pinned_bytes = 0;
	vhost_user_backend_close(client->backend);
	list_remove(&client->node);
	log_info(server->log, "%s: the client has left", server->name);
	server->client_count--;
	fiber_queue_wake_all(&server->client_left);
	free(client->pins);
	free(client);
	return 0;
}

int blk_server_add_client(struct vhost_user_blk_server *server, int fd, struct error *error)
{
	struct vhost_user_backend_options options = { .name = server->name, .log = server->log };
	struct vhost_user_blk_client *client =
		calloc(1, sizeof(*client) + server->queue_count * sizeof(client->queues[0]));
	int rc;

	if (!client) {
		close(fd);
		return error_set(error, -ENOMEM, "%s: out of memory", server->name);
	}
	client->server = server;
	if (server->pin_memory)
		client->pins = calloc(MAX(server->worker_count, 1u), sizeof(*client->pins));
	client->peer = unix_socket_peer(fd);
	virtio_blk_init(&client->blk, server->block, server->serial, server->queue_count);
	rc = vhost_user_backend_create(&client->backend, fd, &backend_ops, client, &options, error);
	if (rc < 0) {
		free(client->pins);
		free(client);
		return rc;
	}
	list_add_tail(&server->clients, &client->node);
	server->client_count++;
	log_info(server->log, "%s: a client has come", server->name);
	fiber_start(run_client, client);
	return 0;
}

/* ---- Servers ---- */

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
