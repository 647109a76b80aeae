/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues of the vhost-user-blk server: each is polled by one worker, which carries its requests out.
 *
 * Where the disk has views (block/view.h) and there are several workers, queue 0 is at the disk's home and the others are
 * dealt out to the workers after it, so that a guest with several processors uses several of ours. Everything of
 * a queue is its worker's while it runs; it is started and stopped there on behalf of the home, whose fibers read
 * what the client says.
 */
#include <errno.h>

#include "block/limit.h"
#include "block/view.h"
#include "fiber/pinned.h"
#include "util/control_share.h"
#include "util/error.h"
#include "util/log.h"
#include "virtio/vhost_user_blk_private.h"

/* Chains that a queue takes before others have their turn. */
#define BURST 64

/* ---- The worker's calls ---- */

static struct vhost_user_blk_queue *queue_of(struct worker_poller *poller)
{
	return container_of(poller, struct vhost_user_blk_queue, poller);
}

static unsigned poll_queue(struct worker_poller *poller)
{
	struct vhost_user_blk_queue *queue = queue_of(poller);
	struct vhost_user_blk_server *server = queue->client->server;
	int done = virtio_blk_queue_poll(&queue->queue, BURST);

	if (done >= 0)
		return (unsigned)done;
	log_warning(server->log, "%s: queue %u is broken until the guest resets it: %s",
		    server->name, queue->queue.vq->index, queue->queue.vq->broken);
	return 0;
}

static bool arm_queue(struct worker_poller *poller)
{
	struct virtio_blk_queue *queue = &queue_of(poller)->queue;

	/* The driver is told of requests that end by the next poll, which no kick brings about. */
	poller->again = queue->in_flight > 0;
	/* A front-end that gave no kick eventfd wants to be polled: no sleep while it is there. */
	return virtio_blk_queue_arm(queue) || (queue->vq->kick_fd < 0 && !queue->vq->broken);
}

static void disarm_queue(struct worker_poller *poller)
{
	struct virtqueue *vq = queue_of(poller)->queue.vq;

	if (virtqueue_available(vq))
		virtqueue_count_kick(vq);
	virtqueue_disable_kicks(vq);
}

/* ---- Where it runs ---- */

/* Which of the server's workers; 0 where there are none but this one. */
static unsigned place_for(const struct vhost_user_blk_server *server, unsigned index)
{
	unsigned home = 0;

	while (home < server->worker_count && server->workers[home] != worker_current())
		home++;
	if (home == server->worker_count)
		return 0;
	return block_has_views(server->block) ? (home + index) % server->worker_count : home;
}

/* ---- The client's memory, in the worker's ring ---- */

static void pin(struct vhost_user_blk_queue *queue)
{
	struct vhost_user_blk_client *client = queue->client;
	const struct guest_memory *memory = vhost_user_backend_memory(client->backend);
	struct vhost_user_blk_pins *pins;
	int rc = 0;

	if (!client->pins)
		return;
	pins = &client->pins[queue->place];
	if (pins->queues++)
		return;
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_memory_region *region = &memory->regions[i];
		int failed = worker_pin(&pins->regions[pins->count], region->host, region->size);

		rc = rc ? rc : failed;
		if (failed)
			continue;
		pins->count++;
		__atomic_fetch_add(&client->pinned_bytes, region->size, __ATOMIC_RELAXED);
		pins->bytes += region->size;
	}
	if (rc)
		log_warning(client->server->log,
			    "%s: not all of the client's memory is pinned: %s%s",
			    client->server->name, error_name(rc),
			    rc == -ENOMEM ? " (`ulimit -l`, LimitMEMLOCK= of a service)" : "");
}

static void unpin(struct vhost_user_blk_queue *queue)
{
	struct vhost_user_blk_client *client = queue->client;
	struct vhost_user_blk_pins *pins;

	if (!client->pins)
		return;
	pins = &client->pins[queue->place];
	if (--pins->queues)
		return;
	while (pins->count)
		worker_unpin(pins->regions[--pins->count]);
	__atomic_fetch_sub(&client->pinned_bytes, pins->bytes, __ATOMIC_RELAXED);
	pins->bytes = 0;
}

/* ---- Start and stop ---- */

static int start_here(struct vhost_user_blk_queue *queue)
{
	pin(queue);
	return worker_add_poller(&queue->poller);
}

static int start_away(void *arg)
{
	struct vhost_user_blk_queue *queue = arg;
	int rc = block_view(&queue->view, queue->client->server->block);

	if (rc)
		return rc;
	queue->queue.block = queue->view;
	return start_here(queue);
}

static int stop_here(void *arg)
{
	struct vhost_user_blk_queue *queue = arg;

	worker_remove_poller(&queue->poller);
	virtio_blk_queue_drain(&queue->queue);
	unpin(queue);
	block_view_put(queue->view);
	return 0;
}

/* Others run here until that has happened, and what they do is not the client's. */
static int call_away(struct vhost_user_blk_queue *queue, int (*call)(void *arg))
{
	uint64_t began = control_share_clock();
	int rc = worker_call(queue->worker, call, queue);

	queue->client->away_ns += control_share_clock() - began;
	return rc;
}

int blk_queue_start(void *device, unsigned index, struct virtqueue *vq)
{
	struct vhost_user_blk_client *client = device;
	struct vhost_user_blk_server *server = client->server;
	struct vhost_user_blk_queue *queue = &client->queues[index];

	queue->client = client;
	queue->view = NULL;
	queue->place = place_for(server, index);
	queue->worker = server->worker_count ? server->workers[queue->place] : worker_current();
	virtio_blk_queue_init(&queue->queue, &client->blk, vq);
	queue->queue.counters = &queue->counters;
	queue->poller = (struct worker_poller){
		.fd = vq->kick_fd,
		.poll = poll_queue,
		.arm = arm_queue,
		.disarm = disarm_queue,
	};
	log_debug(server->log, "%s: queue %u of %u entries starts at %u", server->name, index,
		  vq->size, vq->last_avail);
	if (virtqueue_resumed(vq))
		virtio_blk_resumed(&client->blk);
	/* One that comes back may have been away when the size changed, and QEMU does not look by itself. */
	if (index == 0 && vq->inflight)
		(void)vhost_user_backend_config_changed(client->backend);
	if (queue->worker != worker_current() && call_away(queue, start_away) == 0)
		return 0;
	if (queue->worker != worker_current())
		queue->place = place_for(server, 0);
	queue->worker = worker_current();
	return start_here(queue);
}

void blk_queue_stop(void *device, unsigned index)
{
	struct vhost_user_blk_client *client = device;
	struct vhost_user_blk_queue *queue = &client->queues[index];

	/* A guest that goes, or starts anew, is not to wait for requests that a limit holds back. */
	block_limit_hurry(client->server->block, true);
	call_away(queue, stop_here);
	block_limit_hurry(client->server->block, false);
}

/* ---- Counters ---- */

static void add_counter(uint64_t *sum, const uint64_t *counter)
{
	*sum += virtqueue_counted(counter);
}

static void add_requests(struct virtio_blk_counters *to, const struct virtio_blk_counters *from)
{
	add_counter(&to->reads, &from->reads);
	add_counter(&to->writes, &from->writes);
	add_counter(&to->flushes, &from->flushes);
	add_counter(&to->discards, &from->discards);
	add_counter(&to->zeroes, &from->zeroes);
	add_counter(&to->others, &from->others);
	add_counter(&to->read_bytes, &from->read_bytes);
	add_counter(&to->written_bytes, &from->written_bytes);
	add_counter(&to->failed, &from->failed);
	add_counter(&to->unsupported, &from->unsupported);
}

void blk_client_add_counters(struct vhost_user_blk_status *sum,
			     const struct vhost_user_blk_client *client)
{
	add_counter(&sum->pinned_bytes, &client->pinned_bytes);
	for (unsigned i = 0; i < client->server->queue_count; i++) {
		const struct virtqueue_counters *queue =
			&vhost_user_backend_queue(client->backend, i)->counters;

		add_requests(&sum->requests, &client->queues[i].counters);
		sum->in_flight +=
			__atomic_load_n(&client->queues[i].queue.in_flight, __ATOMIC_RELAXED);
		add_counter(&sum->queues.kicks, &queue->kicks);
		add_counter(&sum->queues.chains, &queue->chains);
		add_counter(&sum->queues.signals, &queue->signals);
		add_counter(&sum->queues.suppressed, &queue->suppressed);
	}
}
