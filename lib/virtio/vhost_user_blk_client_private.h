/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by vhost_user_blk_client*.c: the device, its queues and slots. */
#ifndef TENON_VIRTIO_VHOST_USER_BLK_CLIENT_PRIVATE_H
#define TENON_VIRTIO_VHOST_USER_BLK_CLIENT_PRIVATE_H

#include <linux/virtio_blk.h>

#include "block/block.h"
#include "block/layer.h"
#include "fiber/fiber.h"
#include "util/list.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_user_frontend.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_driver.h"

#define SECTOR_BYTES 512u
#define QUEUE_SIZE   256
#define QUEUES_MAX   16u
#define SLOTS        64u /* three descriptors each, or a table */
#define SLOT_DATA    (1u << 20)
#define SLOT_HEADER  4096u /* header and status; keeps the data on pages of its own */
#define SLOT_STATUS  64u   /* offset of the status byte */
#define SLOT_BYTES   (SLOT_HEADER + (uint64_t)SLOT_DATA)

/* Requests that are shown at the latest once so many wait for that. */
#define KICK_AT 16u

/* Pieces of the caller's memory in one request, which fill a table together with header and status. */
#define DIRECT_PIECES (VIRTQUEUE_DRIVER_TABLE - 2u)

#define BIT(number) (1ULL << (number))

struct client_slot {
	struct list node; /* in client->free */
	uint8_t *host;
	uint64_t guest_address;
	bool done;
	struct fiber_queue waiter;
};

struct blk_client_queue {
	struct blk_client *client;
	struct virtqueue_driver driver;
	struct worker_poller poller;
	int kick_fd, call_fd;
	bool polled;
	bool kicking; /* a fiber is about to */
	struct client_slot *by_head[QUEUE_SIZE];
};

struct blk_client {
	struct block block;
	struct vhost_user_frontend *frontend;
	struct guest_memory own;    /* rings and slots */
	struct guest_memory shared; /* that and the caller's, whose regions are only named here */
	uint64_t features;
	unsigned direct_pieces;                   /* most in one request; 0: data is copied */
	uint32_t discard_sectors, zeroes_sectors; /* most in one request */
	int dead; /* -ENOTCONN: the server has gone, or talks nonsense; or why it is given up; else 0 */
	pid_t server;   /* or 0 */
	uint64_t heard; /* worker_now() when it last completed something */
	struct fiber *watcher, *listener;
	unsigned queue_count, next_queue;
	struct blk_client_queue queues[QUEUES_MAX];
	struct client_slot slots[SLOTS];
	struct list free;
	struct fiber_queue free_waiters;
};

extern const struct block_ops blk_client_ops;

/* Nothing will complete any more: wakes all who wait, who end with `reason`. Their slots are not used again. */
void blk_client_die(struct blk_client *client, int reason);

/* The worker's calls for a queue. */
unsigned blk_client_poll(struct worker_poller *poller);
bool blk_client_arm(struct worker_poller *poller);
void blk_client_disarm(struct worker_poller *poller);

/* Frees whatever there is of it. */
void blk_client_destroy(struct blk_client *client);

#endif
