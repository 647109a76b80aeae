/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk (virtio 1.2, 5.2): requests of a virtqueue carried out on a struct block.
 *
 * A queue is on the home worker of its block: the device's, or that of a view of it (block/view.h). virtio_blk_queue_poll() takes a burst of chains; each becomes a request
 * on a fiber of its own (from the worker's pool), whose data goes between the block device and guest
 * memory without a copy. Completed requests are pushed as they end and shown to the driver together,
 * once a round.
 *
 * Knows virtqueues, not where they come from: the vhost-user server (vhost_user_blk.h) drives it, and
 * unit tests do, over a plain buffer.
 */
#ifndef TENON_VIRTIO_VIRTIO_BLK_H
#define TENON_VIRTIO_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "fiber/fiber.h"
#include "util/list.h"
#include "virtio/virtqueue.h"

struct block;

#define VIRTIO_BLK_SERIAL_BYTES 20

/* Requests of a queue that are carried out at a time; those beyond stay in its ring. A guest chooses the
 * size of its rings, up to 32768, and a request may take a fiber's stack. */
#define VIRTIO_BLK_IN_FLIGHT 1024

/* Many queues could still take all the stacks that there are, and with them the process, or much memory. So where a worker
 * has so many fibers, or requests on their way without one, each queue carries out only a few at a time. */
#define VIRTIO_BLK_CROWD 4096
#define VIRTIO_BLK_FEW   16

struct virtio_blk_counters {
	uint64_t reads, writes, flushes, discards, zeroes, others;
	uint64_t read_bytes, written_bytes;
	uint64_t failed;      /* answered with VIRTIO_BLK_S_IOERR */
	uint64_t unsupported; /* answered with VIRTIO_BLK_S_UNSUPP */
};

/* How durable a completed write is. */
enum virtio_blk_cache {
	VIRTIO_BLK_WRITE_BACK,    /* it may still need a flush */
	VIRTIO_BLK_WRITE_THROUGH, /* it needs none: writes go with FUA */
	/* The same, of a driver that began with a process before this one: what it chose then is not known here, and
	 * QEMU does not say it again. One that flushes has a cache. */
	VIRTIO_BLK_WRITE_THROUGH_GUESSED,
};

struct virtio_blk {
	struct block *block; /* the caller's reference */
	uint16_t queue_count;
	char serial[VIRTIO_BLK_SERIAL_BYTES]; /* padded with zero bytes */
	uint64_t features;                    /* negotiated, while no queue is in service */
	enum virtio_blk_cache cache;          /* read by all queues, on whatever thread */
	bool cache_chosen;                    /* by the driver, in the configuration */
	struct virtio_blk_counters counters;  /* of queues that have none of their own */
	struct log *log;                      /* of what the disk fails; NULL unless set */
};

/* A queue in service. */
struct virtio_blk_queue {
	struct virtio_blk *blk;
	struct virtqueue *vq;
	struct block *block; /* that of `blk`, or a view of it */
	struct virtio_blk_counters
		*counters;  /* those of `blk`, or others; read with virtqueue_counted() */
	unsigned in_flight; /* requests that were taken and not answered */
	bool taking;        /* in virtio_blk_queue_poll() */
	unsigned returning; /* fibers that do again what is in `returned` */
	struct list returned;
	struct list idle;           /* pooled requests */
	struct fiber_queue drained; /* who waits for in_flight == 0 */
};

/* `serial` may be NULL (empty); longer ones are cut at 20 bytes. */
void virtio_blk_init(struct virtio_blk *blk, struct block *block, const char *serial,
		     uint16_t queue_count);

/* The features on offer for this block device, with VIRTQUEUE_FEATURES. */
uint64_t virtio_blk_features(const struct virtio_blk *blk);
void virtio_blk_set_features(struct virtio_blk *blk, uint64_t features);
/* The driver was served by a process before this one: until it chooses a cache or flushes, it is taken for one that
 * has none. */
void virtio_blk_resumed(struct virtio_blk *blk);
/* A new driver begins. */
void virtio_blk_reset(struct virtio_blk *blk);

/* Configuration space; reads past its end give 0. Only the write cache setting can be written:
 * -EACCES for anything else. */
int virtio_blk_get_config(const struct virtio_blk *blk, uint32_t offset, void *at, uint32_t size);
int virtio_blk_set_config(struct virtio_blk *blk, uint32_t offset, const void *at, uint32_t size);

void virtio_blk_queue_init(struct virtio_blk_queue *queue, struct virtio_blk *blk,
			   struct virtqueue *vq);
/* Waits until no request is in flight (suspends), shows the driver all, and frees the pool. */
void virtio_blk_queue_drain(struct virtio_blk_queue *queue);

/* Takes up to `burst` chains and starts their requests, and shows the driver what was completed since
 * the last call. Returns how much it did. -EPROTO the one time that the ring is found broken. Never
 * suspends. */
int virtio_blk_queue_poll(struct virtio_blk_queue *queue, unsigned burst);

/* Before sleeping: shows the driver what is done and asks for kicks. True if there is something to poll
 * for now. With as many requests in flight as may be there is not: their end wakes the worker. */
bool virtio_blk_queue_arm(struct virtio_blk_queue *queue);

#endif
