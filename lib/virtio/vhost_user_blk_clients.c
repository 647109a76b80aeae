/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients of a vhost-user-blk server: each has a fiber that reads its messages; see vhost_user_blk_private.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/block.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/control_share.h"
#include "util/error.h"
#include "util/list.h"
#include "util/log.h"
#include "util/unix_socket.h"
#include "virtio/vhost_user_blk_private.h"

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

	virtio_blk_reset(&client->blk);
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

#define MESSAGES 4 /* at once: others' requests wait meanwhile */

/* Then leaves it alone for as long as the share of its disk says. */
static int take_messages(struct vhost_user_blk_client *client, struct error *error)
{
	struct vhost_user_blk_server *server = client->server;
	uint64_t began = control_share_clock(), took, rest;
	int rc;

	client->away_ns = 0;
	rc = vhost_user_backend_input(client->backend, error);
	took = control_share_clock() - began;
	rest = control_share_use(&server->share, worker_now(), took - MIN(took, client->away_ns));
	if (rc < 0 || !rest)
		return rc;
	server->rested_ns += rest;
	return fiber_sleep(rest);
}

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
			rc = take_messages(client, &error);
	}
	if (rc < 0 && rc != -ENOTCONN && rc != -ECANCELED)
		log_warning(server->log, "%s: the client is turned out: %s", server->name,
			    error.code ? error.text : error_name(rc));
	/* It is there, and has the disk, until its last request has ended. */
	client->leaving = true;
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
	struct vhost_user_backend_options options = { .name = server->name,
						      .log = server->log,
						      .messages = MESSAGES };
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
	client->blk.log = server->log;
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
