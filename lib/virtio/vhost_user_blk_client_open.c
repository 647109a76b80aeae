/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening and closing a vhost-user-blk device: see vhost_user_blk_client.h. */
#include "virtio/vhost_user_blk_client.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "virtio/vhost_user_blk_client_private.h"

#define GUEST_BASE 0x100000u /* any guest address but 0, which is easily there by mistake */

/* Up to the secure-erase fields, which older servers (QEMU 7.2's) do not know and so refuse. */
#define CONFIG_BYTES offsetof(struct virtio_blk_config, max_secure_erase_sectors)

#define FEATURES                                                                                   \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |                                  \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_MQ) |     \
	 BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_TOPOLOGY) |          \
	 BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))

/* ---- While it is open ---- */

static int watch_server(void *arg)
{
	struct blk_client *client = arg;

	if (fiber_poll(vhost_user_frontend_fd(client->frontend), POLLRDHUP, FIBER_FOREVER) > 0)
		blk_client_die(client, -ENOTCONN);
	return 0;
}

/* Takes what the server says unasked: that the disk has another size. */
static int listen_to_server(void *arg)
{
	struct blk_client *client = arg;
	struct virtio_blk_config config;
	int channel;

	while ((channel = vhost_user_frontend_channel(client->frontend)) >= 0 &&
	       fiber_poll(channel, POLLIN, FIBER_FOREVER) > 0) {
		if (vhost_user_frontend_take_request(client->frontend) <= 0 ||
		    vhost_user_frontend_get_config(client->frontend, 0, &config, CONFIG_BYTES,
						   NULL) < 0 ||
		    le64toh(config.capacity) > INT64_MAX / SECTOR_BYTES)
			continue;
		block_set_size(&client->block, round_down(le64toh(config.capacity) * SECTOR_BYTES,
							  client->block.logical_block_size));
	}
	return 0;
}

/* ---- Opening ---- */

static bool power_of_two_within(uint64_t value, uint64_t least, uint64_t most)
{
	return is_power_of_two(value) && value >= least && value <= most;
}

/* Takes the device's shape from its configuration space, believing nothing. */
static int read_config(struct blk_client *client,
		       const struct vhost_user_blk_client_options *options, const char *name,
		       struct error *error)
{
	struct virtio_blk_config config = { 0 };
	unsigned queues = 1, pieces = DIRECT_PIECES;
	struct block *block = &client->block;
	uint64_t physical;
	int rc = vhost_user_frontend_get_config(client->frontend, 0, &config, CONFIG_BYTES, error);

	if (rc < 0)
		return rc;
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
	if (client->features & BIT(VIRTIO_BLK_F_MQ))
		queues = MAX(le16toh(config.num_queues), 1u);
	client->queue_count = MIN(MIN(queues, QUEUES_MAX), MAX(options->queues, 1u));
	if (client->features & BIT(VIRTIO_BLK_F_SEG_MAX))
		pieces = MAX(le32toh(config.seg_max), 1u);
	client->direct_pieces = options->memory ? MIN(pieces, DIRECT_PIECES) : 0;
	/* Ranges end at whole blocks. */
	client->discard_sectors -=
		client->discard_sectors % (block->logical_block_size / SECTOR_BYTES);
	client->zeroes_sectors -=
		client->zeroes_sectors % (block->logical_block_size / SECTOR_BYTES);
	return 0;
}

/* The regions that the server gets: our own, behind those of the caller, which stay the caller's. */
static int share_memory(struct blk_client *client, const struct guest_memory *callers,
			uint64_t bytes, const char *name, struct error *error)
{
	uint64_t base = GUEST_BASE;
	int rc;

	for (unsigned i = 0; callers && i < callers->count; i++) {
		const struct guest_memory_region *region = &callers->regions[i];

		if (region->fd < 0)
			return error_set(error, -EINVAL,
					 "%s: memory without a file cannot be shared", name);
		base = MAX(base, round_up(region->guest_address + region->size, GUEST_BASE));
	}
	rc = guest_memory_create_region(&client->own, "tenon-blk-client", base, bytes, error);
	if (rc < 0)
		return rc;
	if (callers)
		client->shared = *callers;
	client->shared.log = NULL;
	if (client->shared.count == GUEST_MEMORY_MAX_REGIONS)
		return error_set(error, -ENOSPC, "%s: there is no room for another region", name);
	client->shared.regions[client->shared.count++] = client->own.regions[0];
	return 0;
}

static int make_queue(struct blk_client *client, unsigned index, uint64_t ring, const char *name,
		      struct error *error)
{
	const struct guest_memory_region *region = &client->own.regions[0];
	struct blk_client_queue *queue = &client->queues[index];
	int rc;

	queue->client = client;
	queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->kick_fd < 0 || queue->call_fd < 0)
		return error_set(error, -errno, "%s: eventfd: %s", name, error_name(errno));
	rc = virtqueue_driver_init(&queue->driver, region->host + index * ring,
				   region->guest_address + index * ring, QUEUE_SIZE,
				   client->features);
	queue->driver.kick_fd = queue->kick_fd;
	queue->poller = (struct worker_poller){
		.fd = queue->call_fd,
		.poll = blk_client_poll,
		.arm = blk_client_arm,
		.disarm = blk_client_disarm,
	};
	return rc < 0 ? error_set(error, rc, "%s: %s", name, error_name(rc)) : 0;
}

static int make_memory(struct blk_client *client, const struct guest_memory *callers,
		       const char *name, struct error *error)
{
	uint64_t ring = round_up(virtqueue_driver_bytes(QUEUE_SIZE, client->features), 4096);
	uint64_t rings = client->queue_count * ring;
	int rc = share_memory(client, callers, rings + SLOTS * SLOT_BYTES, name, error);

	for (unsigned i = 0; rc == 0 && i < client->queue_count; i++)
		rc = make_queue(client, i, ring, name, error);
	for (unsigned i = 0; rc == 0 && i < SLOTS; i++) {
		const struct guest_memory_region *region = &client->own.regions[0];
		struct client_slot *slot = &client->slots[i];

		slot->host = region->host + rings + i * SLOT_BYTES;
		slot->guest_address = region->guest_address + rings + i * SLOT_BYTES;
		fiber_queue_init(&slot->waiter);
		list_add_tail(&client->free, &slot->node);
	}
	return rc;
}

static int start_queue(struct blk_client *client, unsigned index, struct error *error)
{
	const struct virtqueue_driver *driver = &client->queues[index].driver;
	struct vhost_user_queue queue = {
		.size = QUEUE_SIZE,
		.base = virtqueue_driver_base(driver),
		.desc = driver->desc_address,
		.avail = driver->avail_address,
		.used = driver->used_address,
		.kick_fd = client->queues[index].kick_fd,
		.call_fd = client->queues[index].call_fd,
	};

	return vhost_user_frontend_start_queue(client->frontend, index, &queue, error);
}

static int start_device(struct blk_client *client,
			const struct vhost_user_blk_client_options *options, const char *name,
			struct error *error)
{
	uint64_t offered = vhost_user_frontend_features(client->frontend);
	int rc;

	client->features = offered & FEATURES;
	if (!(offered & BIT(VIRTIO_F_VERSION_1)))
		return error_set(error, -EPROTO, "%s: features 0x%llx have no VERSION_1", name,
				 (unsigned long long)offered);
	rc = read_config(client, options, name, error);
	if (rc == 0)
		rc = make_memory(client, options->memory, name, error);
	if (rc == 0)
		rc = vhost_user_frontend_set_features(client->frontend, client->features, error);
	if (rc == 0)
		rc = vhost_user_frontend_set_memory(client->frontend, &client->shared, error);
	for (unsigned i = 0; rc == 0 && i < client->queue_count; i++)
		rc = start_queue(client, i, error);
	return rc;
}

/* Makes a block device over a connected front-end, which it owns. */
static int open_frontend(struct block **out, struct vhost_user_frontend *frontend, const char *name,
			 const struct vhost_user_blk_client_options *options, struct error *error)
{
	static const struct vhost_user_blk_client_options defaults;
	struct blk_client *client = calloc(1, sizeof(*client));
	int rc;

	if (!client) {
		vhost_user_frontend_close(frontend);
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	}
	block_init(&client->block, &blk_client_ops, name);
	client->frontend = frontend;
	client->server = unix_socket_peer(vhost_user_frontend_fd(frontend));
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		client->queues[i].kick_fd = client->queues[i].call_fd = -1;
	list_init(&client->free);
	fiber_queue_init(&client->free_waiters);
	rc = start_device(client, options ? options : &defaults, name, error);
	if (rc < 0) {
		free(client->block.name);
		blk_client_destroy(client);
		return rc;
	}
	for (unsigned i = 0; i < client->queue_count; i++) {
		worker_add_poller(&client->queues[i].poller);
		client->queues[i].polled = true;
	}
	client->watcher = fiber_spawn(watch_server, client);
	client->listener = fiber_spawn(listen_to_server, client);
	*out = &client->block;
	return 0;
}

int vhost_user_blk_client_open(struct block **out, const char *path,
			       const struct vhost_user_blk_client_options *options,
			       struct error *error)
{
	struct vhost_user_frontend *frontend;
	int rc = vhost_user_frontend_connect(&frontend, path, error);

	return rc < 0 ? rc : open_frontend(out, frontend, path, options, error);
}

int vhost_user_blk_client_adopt(struct block **out, int fd, const char *name,
				const struct vhost_user_blk_client_options *options,
				struct error *error)
{
	struct vhost_user_frontend *frontend;
	int rc = vhost_user_frontend_adopt(&frontend, fd, name, error);

	return rc < 0 ? rc : open_frontend(out, frontend, name, options, error);
}
