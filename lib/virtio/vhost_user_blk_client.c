/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user-blk device as a struct block: see vhost_user_blk_client.h. Opening it is in
 * vhost_user_blk_client_open.c.
 *
 * Memory of our own is one memfd: the rings, then SLOTS slots, each with a request header, a status byte and
 * a buffer of SLOT_DATA bytes. A request takes a slot, copies its data in or names the caller's memory that it is
 * in, makes that available on one of the queues and suspends; the pollers take used slots and wake their fibers.
 * Slots are used last in first out, so that only as many buffers take memory as were ever in use at once.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "block/iov.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/process.h"
#include "virtio/vhost_user_blk_client.h"
#include "virtio/vhost_user_blk_client_private.h"

/* A server that is stopped is not waited for longer; a disk of one that runs may take its time. */
#define STOPPED_LIMIT_NS 5000000000ULL
#define LOOK_INTERVAL_NS 1000000000ULL

#define NO_REQUEST                                                                                 \
	UINT32_MAX /* a type that there is not, also without the bits that some devices mask */

static struct blk_client *client_of(struct block *block)
{
	return container_of(block, struct blk_client, block);
}

/* ---- Completions ---- */

void blk_client_die(struct blk_client *client, int reason)
{
	if (!client->dead)
		client->dead = reason;
	/* At once: who comes back is to be told from who has left, by a server that goes on. */
	shutdown(vhost_user_frontend_fd(client->frontend), SHUT_RDWR);
	for (unsigned i = 0; i < SLOTS; i++)
		fiber_queue_wake_all(&client->slots[i].waiter);
	fiber_queue_wake_all(&client->free_waiters);
}

unsigned blk_client_poll(struct worker_poller *poller)
{
	struct blk_client_queue *queue = container_of(poller, struct blk_client_queue, poller);
	unsigned done = 0;
	uint32_t written;
	uint16_t head;
	int got = 0;

	if (queue->client->dead)
		return 0;
	while ((got = virtqueue_driver_take(&queue->driver, &head, &written)) > 0) {
		struct client_slot *slot = queue->by_head[head];

		slot->done = true;
		fiber_queue_wake_all(&slot->waiter);
		done++;
	}
	if (got < 0)
		blk_client_die(queue->client, -ENOTCONN);
	if (done)
		queue->client->heard = worker_now();
	return done;
}

bool blk_client_arm(struct worker_poller *poller)
{
	struct blk_client_queue *queue = container_of(poller, struct blk_client_queue, poller);

	return !queue->client->dead && virtqueue_driver_enable_calls(&queue->driver);
}

void blk_client_disarm(struct worker_poller *poller)
{
	struct blk_client_queue *queue = container_of(poller, struct blk_client_queue, poller);

	virtqueue_driver_disable_calls(&queue->driver);
}

/* ---- Requests ---- */

/*
 * Waits to be woken. A fiber that is cancelled takes nothing of its request back, which may be with a server that
 * never answers: it gives the server up, for all.
 */
static void wait_for_server(struct blk_client *client, struct fiber_queue *queue, uint64_t since)
{
	int rc = fiber_queue_wait(queue, LOOK_INTERVAL_NS);

	if (rc == -ECANCELED)
		blk_client_die(client, -ECANCELED);
	else if (rc == -ETIMEDOUT && worker_now() - MAX(since, client->heard) >= STOPPED_LIMIT_NS &&
		 client->server && process_is_stopped(client->server))
		blk_client_die(client, -ETIMEDOUT);
}

static struct client_slot *get_slot(struct blk_client *client)
{
	uint64_t since = worker_now();

	while (!client->dead && list_empty(&client->free))
		wait_for_server(client, &client->free_waiters, since);
	return client->dead ? NULL : list_entry(list_pop(&client->free), struct client_slot, node);
}

static void put_slot(struct blk_client *client, struct client_slot *slot)
{
	list_add_head(&client->free, &slot->node);
	fiber_queue_wake_one(&client->free_waiters);
}

/*
 * Shows the device what was added, once for all that come one after another: a server that sleeps is woken for the first,
 * and would find only that one.
 */
static void kick(struct blk_client_queue *queue)
{
	uint16_t seen;

	if (queue->kicking)
		return;
	queue->kicking = true;
	do {
		seen = queue->driver.unshown;
		fiber_yield();
	} while (queue->driver.unshown != seen && queue->driver.unshown < KICK_AT);
	queue->kicking = false;
	virtqueue_driver_kick(&queue->driver);
}

/*
 * The server is not asked any more, and whoever made the request is told that it failed. Where it was stopped it has the ring still, and would
 * carry out later what it finds there, over newer data that came another way (a lease): it finds a request that no device has. What it had taken
 * already it may yet carry out; it lets nobody in before that (vhost_user_blk_accept.c).
 */
static void withdraw(const struct client_slot *slot)
{
	struct virtio_blk_outhdr *header = (void *)slot->host;

	__atomic_store_n(&header->type, NO_REQUEST, __ATOMIC_SEQ_CST);
}

/* Carries out one request with `count` pieces of data. 0, -EIO, -EOPNOTSUPP (the device does not know the
 * request) or why the server is not asked any more. */
static int ask_server(struct blk_client *client, struct client_slot *slot, uint32_t type,
		      uint64_t sector, const struct virtqueue_part *data, unsigned count)
{
	struct virtio_blk_outhdr header = { .type = htole32(type), .sector = htole64(sector) };
	struct blk_client_queue *queue =
		&client->queues[client->next_queue++ % client->queue_count];
	volatile uint8_t *status = slot->host + SLOT_STATUS;
	struct virtqueue_part parts[DIRECT_PIECES + 2];
	unsigned readable = type == VIRTIO_BLK_T_IN ? 1 : 1 + count;
	uint64_t since = worker_now();
	uint16_t head;
	int rc;

	memcpy(slot->host, &header, sizeof(header));
	*status = 0xff;
	parts[0] = (struct virtqueue_part){ slot->guest_address, sizeof(header) };
	memcpy(parts + 1, data, count * sizeof(*data));
	parts[count + 1] = (struct virtqueue_part){ slot->guest_address + SLOT_STATUS, 1 };
	slot->done = false;
	rc = virtqueue_driver_add(&queue->driver, parts, readable, count + 2 - readable, &head);
	if (rc < 0)
		return -EIO; /* the queue has room for all slots, so this does not happen */
	queue->by_head[head] = slot;
	kick(queue);
	while (!slot->done && !client->dead)
		wait_for_server(client, &slot->waiter, since);
	if (!slot->done) {
		withdraw(slot);
		return client->dead;
	}
	switch (*status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/* The slot's buffer as the one piece of a request. */
static int carry_out_slot(struct blk_client *client, struct client_slot *slot, uint32_t type,
			  uint64_t sector, uint32_t length)
{
	struct virtqueue_part data = { slot->guest_address + SLOT_HEADER, length };

	return ask_server(client, slot, type, sector, &data, length ? 1 : 0);
}

/*
 * Names the next bytes of `at` where the server has them too: as many as go into one request, in whole blocks. 0
 * bytes if the first block is not all in memory that is shared, or is cut into too many pieces.
 */
static uint32_t name_pieces(const struct blk_client *client, struct iov_range *at, uint64_t length,
			    struct virtqueue_part *data, unsigned *count)
{
	struct iovec pieces[DIRECT_PIECES];
	struct iov_range probe = *at;
	uint64_t bytes = 0;
	unsigned known = 0;

	iov_take(&probe, MIN(length, SLOT_DATA), pieces, client->direct_pieces, count);
	while (known < *count &&
	       guest_memory_host_to_guest(&client->shared, pieces[known].iov_base,
					  pieces[known].iov_len, &data[known].guest_address)) {
		data[known].length = (uint32_t)pieces[known].iov_len;
		bytes += pieces[known++].iov_len;
	}
	bytes = round_down(bytes, client->block.logical_block_size);
	*count = 0;
	for (uint64_t left = bytes; left; left -= data[(*count)++].length)
		data[*count].length = (uint32_t)MIN(left, data[*count].length);
	iov_advance(at, bytes);
	return (uint32_t)bytes;
}

/* How much goes by way of the slot, where the next block cannot be named: at least that, and all that follows and is not shared. */
static uint32_t unshared_bytes(const struct blk_client *client, struct iov_range at,
			       uint64_t length)
{
	uint32_t block = client->block.logical_block_size;
	struct iovec pieces[DIRECT_PIECES];
	uint64_t bytes = 0, address;
	unsigned count;

	if (!client->direct_pieces)
		return (uint32_t)MIN(length, SLOT_DATA);
	iov_take(&at, MIN(length, SLOT_DATA), pieces, DIRECT_PIECES, &count);
	for (unsigned i = 0;
	     i < count && !guest_memory_host_to_guest(&client->shared, pieces[i].iov_base,
						      pieces[i].iov_len, &address);
	     i++)
		bytes += pieces[i].iov_len;
	return (uint32_t)MAX(round_down(bytes, block), (uint64_t)block);
}

/* Reads or writes a slot's worth by way of the slot. */
static int transfer_copied(struct blk_client *client, struct client_slot *slot, uint32_t type,
			   uint64_t sector, struct iov_range *at, uint32_t step)
{
	int rc;

	if (type == VIRTIO_BLK_T_OUT)
		iov_copy_out(at, slot->host + SLOT_HEADER, step);
	rc = carry_out_slot(client, slot, type, sector, step);
	if (type == VIRTIO_BLK_T_IN && rc == 0)
		iov_copy_in(at, slot->host + SLOT_HEADER, step);
	return rc;
}

static int transfer(struct blk_client *client, bool write, uint64_t offset, uint64_t length,
		    const struct iovec *iov, unsigned count)
{
	uint32_t type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	struct iov_range at = iov_range_of(iov, count);
	struct client_slot *slot = get_slot(client);
	int rc = slot ? 0 : client->dead;

	while (rc == 0 && length) {
		struct virtqueue_part data[DIRECT_PIECES];
		unsigned pieces = 0;
		uint32_t step = 0;

		if (client->direct_pieces)
			step = name_pieces(client, &at, length, data, &pieces);
		if (step) {
			rc = ask_server(client, slot, type, offset / SECTOR_BYTES, data, pieces);
		} else {
			step = unshared_bytes(client, at, length);
			rc = transfer_copied(client, slot, type, offset / SECTOR_BYTES, &at, step);
		}
		offset += step;
		length -= step;
	}
	if (slot)
		put_slot(client, slot);
	return rc == -EOPNOTSUPP ? -EIO : rc;
}

static int client_readv(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	return transfer(client_of(block), false, offset, length, iov, count);
}

/* A device without FLUSH has no cache to flush. */
static int client_flush(struct block *block)
{
	struct blk_client *client = client_of(block);
	struct client_slot *slot;
	int rc;

	if (!(client->features & BIT(VIRTIO_BLK_F_FLUSH)))
		return client->dead;
	slot = get_slot(client);
	if (!slot)
		return client->dead;
	rc = carry_out_slot(client, slot, VIRTIO_BLK_T_FLUSH, 0, 0);
	put_slot(client, slot);
	return rc == -EOPNOTSUPP ? -EIO : rc;
}

static int client_writev(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count, unsigned flags)
{
	int rc = transfer(client_of(block), true, offset, length, iov, count);

	return rc == 0 && flags & BLOCK_FUA ? client_flush(block) : rc;
}

/* Discard or write-zeroes of a range, as many sectors at a time as the device takes. */
static int erase_remote(struct blk_client *client, uint32_t type, uint64_t offset, uint64_t length,
			uint32_t most, uint32_t flags)
{
	struct client_slot *slot = get_slot(client);
	int rc = slot ? 0 : client->dead;

	while (rc == 0 && length) {
		uint64_t sectors = MIN(length / SECTOR_BYTES, most);
		struct virtio_blk_discard_write_zeroes range = {
			.sector = htole64(offset / SECTOR_BYTES),
			.num_sectors = htole32((uint32_t)sectors),
			.flags = htole32(flags),
		};

		memcpy(slot->host + SLOT_HEADER, &range, sizeof(range));
		rc = carry_out_slot(client, slot, type, 0, sizeof(range));
		offset += sectors * SECTOR_BYTES;
		length -= sectors * SECTOR_BYTES;
	}
	if (slot)
		put_slot(client, slot);
	return rc;
}

static int client_discard(struct block *block, uint64_t offset, uint64_t length)
{
	struct blk_client *client = client_of(block);
	int rc = 0;

	if (client->discard_sectors)
		rc = erase_remote(client, VIRTIO_BLK_T_DISCARD, offset, length,
				  client->discard_sectors, 0);
	return rc == -EOPNOTSUPP ? 0 : rc; /* a hint, after all */
}

static int client_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
			       unsigned flags)
{
	struct blk_client *client = client_of(block);
	uint32_t unmap = flags & BLOCK_MAY_UNMAP ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	int rc = -EOPNOTSUPP;

	if (client->zeroes_sectors)
		rc = erase_remote(client, VIRTIO_BLK_T_WRITE_ZEROES, offset, length,
				  client->zeroes_sectors, unmap);
	if (rc == -EOPNOTSUPP)
		rc = block_write_zero_buffers(block, offset, length, 0);
	return rc == 0 && flags & BLOCK_FUA ? client_flush(block) : rc;
}

/* ---- The end ---- */

static void end_fiber(struct fiber *fiber)
{
	if (!fiber)
		return;
	fiber_cancel(fiber);
	fiber_join(fiber);
}

void blk_client_destroy(struct blk_client *client)
{
	end_fiber(client->watcher);
	end_fiber(client->listener);
	for (unsigned i = 0; i < client->queue_count; i++)
		if (client->queues[i].polled)
			worker_remove_poller(&client->queues[i].poller);
	/* Hanging up stops the queues. All requests have ended, or the server is gone. */
	vhost_user_frontend_close(client->frontend);
	for (unsigned i = 0; i < client->queue_count; i++) {
		virtqueue_driver_destroy(&client->queues[i].driver);
		cleanup_close(&client->queues[i].kick_fd);
		cleanup_close(&client->queues[i].call_fd);
	}
	guest_memory_clear(&client->own);
	free(client);
}

static void client_close(struct block *block)
{
	blk_client_destroy(client_of(block));
}

const struct block_ops blk_client_ops = {
	.type = "vhost-user-blk",
	.readv = client_readv,
	.writev = client_writev,
	.discard = client_discard,
	.write_zeroes = client_write_zeroes,
	.flush = client_flush,
	.close = client_close,
};

pid_t vhost_user_blk_client_server(const struct block *block)
{
	return block->ops == &blk_client_ops ? client_of((struct block *)block)->server : 0;
}
