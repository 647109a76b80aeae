/*
 * A vhost-user-blk device as a struct block: see vhost_user_blk_client.h.
 *
 * Guest memory is one memfd: the ring, then SLOTS slots, each with a request header, a status byte and
 * a buffer of SLOT_DATA bytes. A request takes a slot, copies its data in, makes the slot available and
 * suspends; the poller takes used slots and wakes their fibers. Slots are used last in first out, so
 * that only as many buffers take memory as were ever in use at once.
 */
#include "virtio/vhost_user_blk_client.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/virtio_blk.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "fiber/fiber.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/list.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define SECTOR_BYTES 512u
#define QUEUE_SIZE   256
#define SLOTS        64u /* three descriptors each */
#define SLOT_DATA    (1u << 20)
#define SLOT_HEADER  4096u /* header and status; keeps the data on pages of its own */
#define SLOT_STATUS  64u   /* offset of the status byte */
#define SLOT_BYTES   (SLOT_HEADER + (uint64_t)SLOT_DATA)

#define GUEST_BASE 0x100000u /* any guest address but 0, which is easily there by mistake */

/* Up to the secure-erase fields, which older servers (QEMU 7.2's) do not know and so refuse. */
#define CONFIG_BYTES offsetof(struct virtio_blk_config, max_secure_erase_sectors)

#define BIT(number) (1ULL << (number))
#define FEATURES                                                                                   \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_BLK_F_RO) |           \
	 BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_FLUSH) |       \
	 BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))

struct slot {
	struct list node; /* in client->free */
	uint8_t *host;
	uint64_t guest_address;
	bool done;
	struct fiber_queue waiter;
};

struct client {
	struct block block;
	struct vhost_user_frontend *frontend;
	struct guest_memory memory;
	struct virtqueue_driver queue;
	struct worker_poller poller;
	int kick_fd, call_fd;
	uint64_t features;
	uint32_t discard_sectors, zeroes_sectors; /* most in one request */
	bool dead;                                /* the server has gone, or talks nonsense */
	struct fiber *watcher;
	struct slot slots[SLOTS];
	struct slot *by_head[QUEUE_SIZE];
	struct list free;
	struct fiber_queue free_waiters;
};

static struct client *client_of(struct block *block)
{
	return container_of(block, struct client, block);
}

/* ---- Completions ---- */

/* Nothing will complete any more: wakes all who wait. Their slots are not used again. */
static void die(struct client *client)
{
	client->dead = true;
	for (unsigned i = 0; i < SLOTS; i++)
		fiber_queue_wake_all(&client->slots[i].waiter);
	fiber_queue_wake_all(&client->free_waiters);
}

static unsigned poll_used(struct worker_poller *poller)
{
	struct client *client = container_of(poller, struct client, poller);
	unsigned done = 0;
	uint32_t written;
	uint16_t head;
	int got = 0;

	if (client->dead)
		return 0;
	while ((got = virtqueue_driver_take(&client->queue, &head, &written)) > 0) {
		struct slot *slot = client->by_head[head];

		slot->done = true;
		fiber_queue_wake_all(&slot->waiter);
		done++;
	}
	if (got < 0)
		die(client);
	return done;
}

static bool arm_calls(struct worker_poller *poller)
{
	struct client *client = container_of(poller, struct client, poller);

	return !client->dead && virtqueue_driver_enable_calls(&client->queue);
}

static void disarm_calls(struct worker_poller *poller)
{
	struct client *client = container_of(poller, struct client, poller);

	virtqueue_driver_disable_calls(&client->queue);
}

/* The server sends nothing by itself, so what can be read is its hang-up. */
static int watch_server(void *arg)
{
	struct client *client = arg;

	if (fiber_poll(vhost_user_frontend_fd(client->frontend), POLLIN, FIBER_FOREVER) > 0)
		die(client);
	return 0;
}

/* ---- Requests ---- */

static struct slot *get_slot(struct client *client)
{
	while (!client->dead && list_empty(&client->free))
		fiber_queue_wait_always(&client->free_waiters);
	return client->dead ? NULL : list_entry(list_pop(&client->free), struct slot, node);
}

static void put_slot(struct client *client, struct slot *slot)
{
	list_add_head(&client->free, &slot->node);
	fiber_queue_wake_one(&client->free_waiters);
}

/* Carries out one request with `length` bytes of data in the slot. 0, -EIO, -EOPNOTSUPP (the device
 * does not know the request) or -ENOTCONN. */
static int carry_out(struct client *client, struct slot *slot, uint32_t type, uint64_t sector,
		     uint32_t length)
{
	struct virtio_blk_outhdr header = { .type = htole32(type), .sector = htole64(sector) };
	volatile uint8_t *status = slot->host + SLOT_STATUS;
	bool in = type == VIRTIO_BLK_T_IN;
	struct virtqueue_part parts[3];
	unsigned count = 0;
	uint16_t head;
	int result;

	memcpy(slot->host, &header, sizeof(header));
	*status = 0xff;
	parts[count++] = (struct virtqueue_part){ slot->guest_address, sizeof(header) };
	if (length)
		parts[count++] =
			(struct virtqueue_part){ slot->guest_address + SLOT_HEADER, length };
	parts[count++] = (struct virtqueue_part){ slot->guest_address + SLOT_STATUS, 1 };
	slot->done = false;
	result = virtqueue_driver_add(&client->queue, parts, in || !length ? 1 : 2,
				      in && length ? 2 : 1, &head);
	if (result < 0)
		return -EIO; /* the queue has room for all slots, so this does not happen */
	client->by_head[head] = slot;
	virtqueue_driver_kick(&client->queue);
	while (!slot->done && !client->dead)
		fiber_queue_wait_always(&slot->waiter);
	if (!slot->done)
		return -ENOTCONN;
	switch (*status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/* Reads or writes, a slot's worth at a time. */
static int transfer(struct client *client, bool write, uint64_t offset, uint64_t length,
		    const struct iovec *iov, unsigned count)
{
	struct iov_range at = iov_range_of(iov, count);
	struct slot *slot = get_slot(client);
	int result = slot ? 0 : -ENOTCONN;

	while (result == 0 && length) {
		uint32_t step = (uint32_t)MIN(length, SLOT_DATA);

		if (write)
			iov_copy_out(&at, slot->host + SLOT_HEADER, step);
		result = carry_out(client, slot, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
				   offset / SECTOR_BYTES, step);
		if (!write && result == 0)
			iov_copy_in(&at, slot->host + SLOT_HEADER, step);
		offset += step;
		length -= step;
	}
	if (slot)
		put_slot(client, slot);
	return result == -EOPNOTSUPP ? -EIO : result;
}

static int client_readv(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count)
{
	return transfer(client_of(block), false, offset, length, iov, count);
}

/* A device without FLUSH has no cache to flush. */
static int client_flush(struct block *block)
{
	struct client *client = client_of(block);
	struct slot *slot;
	int result;

	if (!(client->features & BIT(VIRTIO_BLK_F_FLUSH)))
		return client->dead ? -ENOTCONN : 0;
	slot = get_slot(client);
	if (!slot)
		return -ENOTCONN;
	result = carry_out(client, slot, VIRTIO_BLK_T_FLUSH, 0, 0);
	put_slot(client, slot);
	return result == -EOPNOTSUPP ? -EIO : result;
}

static int client_writev(struct block *block, uint64_t offset, uint64_t length,
			 const struct iovec *iov, unsigned count, unsigned flags)
{
	int result = transfer(client_of(block), true, offset, length, iov, count);

	return result == 0 && flags & BLOCK_FUA ? client_flush(block) : result;
}

/* Discard or write-zeroes of a range, as many sectors at a time as the device takes. */
static int erase(struct client *client, uint32_t type, uint64_t offset, uint64_t length,
		 uint32_t most, uint32_t flags)
{
	struct slot *slot = get_slot(client);
	int result = slot ? 0 : -ENOTCONN;

	while (result == 0 && length) {
		uint64_t sectors = MIN(length / SECTOR_BYTES, most);
		struct virtio_blk_discard_write_zeroes range = {
			.sector = htole64(offset / SECTOR_BYTES),
			.num_sectors = htole32((uint32_t)sectors),
			.flags = htole32(flags),
		};

		memcpy(slot->host + SLOT_HEADER, &range, sizeof(range));
		result = carry_out(client, slot, type, 0, sizeof(range));
		offset += sectors * SECTOR_BYTES;
		length -= sectors * SECTOR_BYTES;
	}
	if (slot)
		put_slot(client, slot);
	return result;
}

static int client_discard(struct block *block, uint64_t offset, uint64_t length)
{
	struct client *client = client_of(block);
	int result = 0;

	if (client->discard_sectors)
		result = erase(client, VIRTIO_BLK_T_DISCARD, offset, length,
			       client->discard_sectors, 0);
	return result == -EOPNOTSUPP ? 0 : result; /* a hint, after all */
}

static int client_write_zeroes(struct block *block, uint64_t offset, uint64_t length,
			       unsigned flags)
{
	struct client *client = client_of(block);
	uint32_t unmap = flags & BLOCK_MAY_UNMAP ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	int result = -EOPNOTSUPP;

	if (client->zeroes_sectors)
		result = erase(client, VIRTIO_BLK_T_WRITE_ZEROES, offset, length,
			       client->zeroes_sectors, unmap);
	if (result == -EOPNOTSUPP)
		result = block_write_zero_buffers(block, offset, length, 0);
	return result == 0 && flags & BLOCK_FUA ? client_flush(block) : result;
}

/* ---- Opening and closing ---- */

/* Undoes whatever of opening was done. */
static void destroy(struct client *client)
{
	if (client->watcher) {
		fiber_cancel(client->watcher);
		fiber_join(client->watcher);
		worker_remove_poller(&client->poller);
	}
	/* Hanging up stops the queue. All requests have ended, or the server is gone. */
	vhost_user_frontend_close(client->frontend);
	virtqueue_driver_destroy(&client->queue);
	guest_memory_clear(&client->memory);
	cleanup_close(&client->kick_fd);
	cleanup_close(&client->call_fd);
	free(client);
}

static void client_close(struct block *block)
{
	destroy(client_of(block));
}

static const struct block_ops client_ops = {
	.type = "vhost-user-blk",
	.readv = client_readv,
	.writev = client_writev,
	.discard = client_discard,
	.write_zeroes = client_write_zeroes,
	.flush = client_flush,
	.close = client_close,
};

static bool power_of_two_within(uint64_t value, uint64_t least, uint64_t most)
{
	return is_power_of_two(value) && value >= least && value <= most;
}

/* Takes the device's shape from its configuration space, believing nothing. */
static int read_config(struct client *client, const char *name, struct error *error)
{
	struct virtio_blk_config config = { 0 };
	struct block *block = &client->block;
	uint64_t physical;
	int result =
		vhost_user_frontend_get_config(client->frontend, 0, &config, CONFIG_BYTES, error);

	if (result < 0)
		return result;
	block->read_only = client->features & BIT(VIRTIO_BLK_F_RO);
	if (client->features & BIT(VIRTIO_BLK_F_BLK_SIZE))
		block->logical_block_size = le32toh(config.blk_size);
	if (block->logical_block_size != 512 && block->logical_block_size != 4096)
		return error_set(error, -EPROTO, "%s: its block size is %u, expected 512 or 4096",
				 name, block->logical_block_size);
	block->physical_block_size = block->logical_block_size;
	if (client->features & BIT(VIRTIO_BLK_F_TOPOLOGY)) {
		physical = (uint64_t)block->logical_block_size << (config.physical_block_exp & 31);
		if (power_of_two_within(physical, block->logical_block_size, 1u << 20))
			block->physical_block_size = (uint32_t)physical;
		block->preferred_io_size = (uint32_t)MIN((uint64_t)le32toh(config.opt_io_size) *
								 block->logical_block_size,
							 1u << 30);
	}
	if (le64toh(config.capacity) > INT64_MAX / SECTOR_BYTES)
		return error_set(error, -EPROTO,
				 "%s: its capacity is %llu sectors, which no disk has", name,
				 (unsigned long long)le64toh(config.capacity));
	block->size =
		round_down(le64toh(config.capacity) * SECTOR_BYTES, block->logical_block_size);
	if (client->features & BIT(VIRTIO_BLK_F_DISCARD)) {
		client->discard_sectors = le32toh(config.max_discard_sectors);
		block->discard_granularity = (uint32_t)MIN(
			(uint64_t)le32toh(config.discard_sector_alignment) * SECTOR_BYTES,
			1u << 30);
		if (block->discard_granularity < block->logical_block_size)
			block->discard_granularity = block->logical_block_size;
	}
	if (client->features & BIT(VIRTIO_BLK_F_WRITE_ZEROES))
		client->zeroes_sectors = le32toh(config.max_write_zeroes_sectors);
	/* Ranges end at whole blocks. */
	client->discard_sectors -=
		client->discard_sectors % (block->logical_block_size / SECTOR_BYTES);
	client->zeroes_sectors -=
		client->zeroes_sectors % (block->logical_block_size / SECTOR_BYTES);
	return 0;
}

static int make_memory(struct client *client, const char *name, struct error *error)
{
	uint64_t ring = round_up(virtqueue_driver_bytes(QUEUE_SIZE, client->features), 4096);
	uint8_t *host;
	int result = guest_memory_create_region(&client->memory, "tenon-blk-client", GUEST_BASE,
						ring + SLOTS * SLOT_BYTES, error);

	if (result < 0)
		return result;
	host = client->memory.regions[0].host;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &client->slots[i];

		slot->host = host + ring + i * SLOT_BYTES;
		slot->guest_address = GUEST_BASE + ring + i * SLOT_BYTES;
		fiber_queue_init(&slot->waiter);
		list_add_tail(&client->free, &slot->node);
	}
	client->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->kick_fd < 0 || client->call_fd < 0)
		return error_set(error, -errno, "%s: eventfd: %s", name, error_name(errno));
	result = virtqueue_driver_init(&client->queue, host, GUEST_BASE, QUEUE_SIZE,
				       client->features);
	client->queue.kick_fd = client->kick_fd;
	return result < 0 ? error_set(error, result, "%s: %s", name, error_name(result)) : 0;
}

static int start(struct client *client, const char *name, struct error *error)
{
	uint64_t offered = vhost_user_frontend_features(client->frontend);
	struct vhost_user_queue queue = { .size = QUEUE_SIZE };
	int result;

	client->features = offered & FEATURES;
	if (!(offered & BIT(VIRTIO_F_VERSION_1)))
		return error_set(error, -EPROTO, "%s: features 0x%llx have no VERSION_1", name,
				 (unsigned long long)offered);
	result = read_config(client, name, error);
	if (result == 0)
		result = make_memory(client, name, error);
	if (result == 0)
		result =
			vhost_user_frontend_set_features(client->frontend, client->features, error);
	if (result == 0)
		result = vhost_user_frontend_set_memory(client->frontend, &client->memory, error);
	if (result < 0)
		return result;
	queue.desc = client->queue.desc_address;
	queue.avail = client->queue.avail_address;
	queue.used = client->queue.used_address;
	queue.kick_fd = client->kick_fd;
	queue.call_fd = client->call_fd;
	return vhost_user_frontend_start_queue(client->frontend, 0, &queue, error);
}

/* Makes a block device over a connected front-end, which it owns. */
static int open_frontend(struct block **out, struct vhost_user_frontend *frontend, const char *name,
			 struct error *error)
{
	struct client *client = calloc(1, sizeof(*client));
	int result;

	if (!client) {
		vhost_user_frontend_close(frontend);
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	}
	block_init(&client->block, &client_ops, name);
	client->frontend = frontend;
	client->kick_fd = client->call_fd = -1;
	list_init(&client->free);
	fiber_queue_init(&client->free_waiters);
	result = start(client, name, error);
	if (result < 0) {
		free(client->block.name);
		destroy(client);
		return result;
	}
	client->poller = (struct worker_poller){
		.fd = client->call_fd,
		.poll = poll_used,
		.arm = arm_calls,
		.disarm = disarm_calls,
	};
	worker_add_poller(&client->poller);
	client->watcher = fiber_spawn(watch_server, client);
	*out = &client->block;
	return 0;
}

int vhost_user_blk_client_open(struct block **out, const char *path, struct error *error)
{
	struct vhost_user_frontend *frontend;
	int result = vhost_user_frontend_connect(&frontend, path, error);

	return result < 0 ? result : open_frontend(out, frontend, path, error);
}

int vhost_user_blk_client_adopt(struct block **out, int fd, const char *name, struct error *error)
{
	struct vhost_user_frontend *frontend;
	int result = vhost_user_frontend_adopt(&frontend, fd, name, error);

	return result < 0 ? result : open_frontend(out, frontend, name, error);
}
