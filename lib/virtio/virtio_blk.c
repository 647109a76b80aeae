/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk requests (virtio 1.2, 5.2.6): see virtio_blk.h.
 *
 * A request is 16 bytes of header, data, and one status byte. The standard leaves open how they are
 * cut into descriptors, so the header is the first 16 readable bytes and the status the last writable
 * byte, wherever they lie. What is looked at is copied first; data is not looked at.
 */
#include "virtio/virtio_blk.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_blk.h>

#include "block/block.h"
#include "block/iov.h"
#include "util/bytes.h"
#include "virtio/virtio_blk_private.h"

/* A few more pieces than a driver may use, for buffers that lie across two regions of memory. */
#define REQUEST_PIECES (VIRTIO_BLK_SEGMENTS + 2 + 16)

#define HEADER_BYTES sizeof(struct virtio_blk_outhdr)
static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio-blk request header");
static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "virtio-blk range");

struct virtio_blk_request {
	struct list node; /* in queue->idle */
	struct virtio_blk_queue *queue;
	struct virtqueue_chain chain;
	struct iovec iov[REQUEST_PIECES];
};

void virtio_blk_queue_init(struct virtio_blk_queue *queue, struct virtio_blk *blk,
			   struct virtqueue *vq)
{
	*queue = (struct virtio_blk_queue){
		.blk = blk, .vq = vq, .block = blk->block, .counters = &blk->counters
	};
	list_init(&queue->idle);
	fiber_queue_init(&queue->drained);
}

/* ---- Requests ---- */

/* Data of a request: a place in the chain, and how much. */
struct data {
	struct iov_range at;
	uint64_t bytes;
};

/* The iovecs of `data`, in place: the first is cut at its front and the last at its end, for the
 * request has no other use for them. */
static struct iovec *trim(struct data *data, unsigned *count)
{
	uint64_t left = data->bytes;
	struct iovec *iov;

	*count = 0;
	iov_advance(&data->at, 0); /* over the one that the header used up */
	iov = (struct iovec *)(uintptr_t)data->at.iov;
	if (!left)
		return iov;
	iov[0].iov_base = (uint8_t *)iov[0].iov_base + data->at.skip;
	iov[0].iov_len -= data->at.skip;
	while (left) {
		iov[*count].iov_len = MIN(iov[*count].iov_len, left);
		left -= iov[(*count)++].iov_len;
	}
	return iov;
}

/* Where on the disk `bytes` from a sector on are. False if they are not all on it. */
static bool locate(const struct block *block, uint64_t sector, uint64_t bytes, uint64_t *offset)
{
	if (sector > UINT64_MAX / SECTOR_BYTES)
		return false;
	*offset = sector * SECTOR_BYTES;
	return bytes % SECTOR_BYTES == 0 && range_within(*offset, bytes, block->size);
}

/* What a write needs to be as durable as the driver takes it for. */
static unsigned write_flags(const struct virtio_blk *blk)
{
	return __atomic_load_n(&blk->writeback, __ATOMIC_RELAXED) ? 0 : BLOCK_FUA;
}

static int transfer(struct virtio_blk_queue *queue, bool write, uint64_t sector, struct data *data)
{
	struct virtio_blk_counters *counters = queue->counters;
	struct block *block = queue->block;
	struct iovec *iov;
	uint64_t offset;
	unsigned count;

	if (write) {
		virtqueue_count(&counters->writes, 1);
		virtqueue_count(&counters->written_bytes, data->bytes);
	} else {
		virtqueue_count(&counters->reads, 1);
		virtqueue_count(&counters->read_bytes, data->bytes);
	}
	if (!locate(block, sector, data->bytes, &offset))
		return -EINVAL;
	if (write && block->read_only)
		return -EROFS;
	iov = trim(data, &count);
	if (!count)
		return 0;
	return write ? block_writev(block, offset, iov, count, write_flags(queue->blk))
		     : block_readv(block, offset, iov, count);
}

/* One range of a discard or write-zeroes request. */
static int erase(struct virtio_blk_queue *queue, bool zeroes,
		 const struct virtio_blk_discard_write_zeroes *range)
{
	uint32_t sectors = le32toh(range->num_sectors), flags = le32toh(range->flags);
	uint32_t most = zeroes ? VIRTIO_BLK_ZEROES_SECTORS : VIRTIO_BLK_DISCARD_SECTORS;
	bool unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint64_t offset, bytes = (uint64_t)sectors * SECTOR_BYTES;

	/* Unknown flags, and "unmap" of a discard, get UNSUPP by 5.2.6.2. */
	if (flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP || (unmap && !zeroes))
		return -EOPNOTSUPP;
	if (sectors > most || !locate(queue->block, le64toh(range->sector), bytes, &offset))
		return -EINVAL;
	if (!bytes)
		return 0;
	if (!zeroes)
		return block_discard(queue->block, offset, bytes);
	return block_write_zeroes(queue->block, offset, bytes,
				  (unmap ? BLOCK_MAY_UNMAP : 0) | write_flags(queue->blk));
}

static int erase_all(struct virtio_blk_queue *queue, bool zeroes, struct data *data)
{
	struct virtio_blk_discard_write_zeroes ranges[VIRTIO_BLK_RANGES];
	unsigned feature = zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD;
	int rc = 0;

	if (zeroes)
		virtqueue_count(&queue->counters->zeroes, 1);
	else
		virtqueue_count(&queue->counters->discards, 1);
	if (queue->block->read_only)
		return -EROFS;
	if (!(queue->blk->features >> feature & 1))
		return -EOPNOTSUPP;
	if (!data->bytes || data->bytes % sizeof(ranges[0]) || data->bytes > sizeof(ranges))
		return -EINVAL;
	iov_copy_out(&data->at, ranges, data->bytes);
	for (unsigned i = 0; i < data->bytes / sizeof(ranges[0]) && rc == 0; i++)
		rc = erase(queue, zeroes, &ranges[i]);
	return rc;
}

static int get_id(struct virtio_blk_queue *queue, struct data *data, uint64_t *written)
{
	*written = MIN(data->bytes, sizeof(queue->blk->serial));
	iov_copy_in(&data->at, queue->blk->serial, *written);
	virtqueue_count(&queue->counters->others, 1);
	return 0;
}

/* Carries a request out. 0 or a negative errno; -EOPNOTSUPP for what this device cannot do. Sets
 * *written to the bytes of data given to the driver. */
static int carry_out(struct virtio_blk_queue *queue, const struct virtio_blk_outhdr *header,
		     struct data *out, struct data *in, uint64_t *written)
{
	uint64_t sector = le64toh(header->sector);
	int rc;

	switch (le32toh(header->type)) {
	case VIRTIO_BLK_T_IN:
		rc = transfer(queue, false, sector, in);
		*written = rc < 0 ? 0 : in->bytes;
		return rc;
	case VIRTIO_BLK_T_OUT:
		return transfer(queue, true, sector, out);
	case VIRTIO_BLK_T_FLUSH:
		virtqueue_count(&queue->counters->flushes, 1);
		return block_flush(queue->block);
	case VIRTIO_BLK_T_DISCARD:
		return erase_all(queue, false, out);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return erase_all(queue, true, out);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(queue, in, written);
	default:
		return -EOPNOTSUPP;
	}
}

static uint8_t status_of(struct virtio_blk_queue *queue, int rc)
{
	if (rc == 0)
		return VIRTIO_BLK_S_OK;
	if (rc == -EOPNOTSUPP) {
		virtqueue_count(&queue->counters->unsupported, 1);
		return VIRTIO_BLK_S_UNSUPP;
	}
	virtqueue_count(&queue->counters->failed, 1);
	return VIRTIO_BLK_S_IOERR;
}

/* Takes the chain apart and carries it out; returns the bytes written to its writable part. The
 * chain has a writable byte. */
static uint32_t process(struct virtio_blk_queue *queue, struct virtqueue_chain *chain)
{
	struct data out = { iov_range_of(chain->iov, chain->readable), chain->readable_bytes };
	struct data in = { iov_range_of(chain->iov + chain->readable, chain->writable),
			   chain->writable_bytes - 1 };
	struct iovec *last = &chain->iov[chain->readable + chain->writable - 1], whole = *last;
	uint8_t *status = (uint8_t *)whole.iov_base + whole.iov_len - 1;
	struct virtio_blk_outhdr header;
	uint64_t written = 0;
	int rc = -EINVAL;

	if (out.bytes >= HEADER_BYTES) {
		iov_copy_out(&out.at, &header, HEADER_BYTES);
		out.bytes -= HEADER_BYTES;
		rc = carry_out(queue, &header, &out, &in, &written);
	}
	*status = status_of(queue, rc);
	*last = whole; /* what is pushed is the chain as it was popped */
	/* used.len counts from the buffer's start on, without gaps (2.7.8.2): where the data was not
	 * written whole, the status after it does not count. */
	return written == in.bytes ? (uint32_t)written + 1 : (uint32_t)written;
}

/* By the queue's own worker; others may look at it. */
static void count_in_flight(struct virtio_blk_queue *queue, int change)
{
	__atomic_store_n(&queue->in_flight, queue->in_flight + (unsigned)change, __ATOMIC_RELAXED);
}

static int run(void *arg)
{
	struct virtio_blk_request *request = arg;
	struct virtio_blk_queue *queue = request->queue;
	uint32_t written = process(queue, &request->chain);

	virtqueue_push(queue->vq, &request->chain, written);
	list_add_head(&queue->idle, &request->node);
	/* The last one tells the driver at once; while others are at work, the next poll tells it of
	 * all that ended in between. */
	count_in_flight(queue, -1);
	if (queue->in_flight == 0) {
		virtqueue_notify(queue->vq);
		fiber_queue_wake_all(&queue->drained);
	}
	return 0;
}

/* ---- Queues ---- */

static struct virtio_blk_request *get_request(struct virtio_blk_queue *queue)
{
	struct list *idle = list_pop(&queue->idle);
	struct virtio_blk_request *request;

	if (idle)
		return list_entry(idle, struct virtio_blk_request, node);
	request = malloc(sizeof(*request));
	if (!request)
		abort();
	list_init(&request->node);
	request->queue = queue;
	request->chain.iov = request->iov;
	request->chain.capacity = REQUEST_PIECES;
	return request;
}

/* How many more it may carry out now. Where that is none, it carries out some, whose end wakes the worker. */
static unsigned room(const struct virtio_blk_queue *queue)
{
	unsigned most = worker_fibers() < VIRTIO_BLK_CROWD ? VIRTIO_BLK_IN_FLIGHT : VIRTIO_BLK_FEW;

	return queue->in_flight < most ? most - queue->in_flight : 0;
}

int virtio_blk_queue_poll(struct virtio_blk_queue *queue, unsigned burst)
{
	unsigned done = virtqueue_notify_pending(queue->vq);
	int got = 1;

	virtqueue_notify(queue->vq);
	burst = virtqueue_prefetch(queue->vq, MIN(burst, room(queue)));
	while (burst-- && virtqueue_available(queue->vq)) {
		struct virtio_blk_request *request = get_request(queue);

		got = virtqueue_pop(queue->vq, &request->chain);
		if (got == 1 && !request->chain.writable_bytes) {
			/* Nowhere to put the status: the driver cannot be answered. */
			virtqueue_break(queue->vq, "a disk request has no status byte");
			virtqueue_push(queue->vq, &request->chain, 0);
			got = -EPROTO;
		}
		if (got != 1) {
			list_add_head(&queue->idle, &request->node);
			break;
		}
		count_in_flight(queue, 1);
		done++;
		fiber_start(run, request);
	}
	return got < 0 ? got : (int)done;
}

bool virtio_blk_queue_arm(struct virtio_blk_queue *queue)
{
	virtqueue_notify(queue->vq);
	return virtqueue_enable_kicks(queue->vq) && room(queue);
}

void virtio_blk_queue_drain(struct virtio_blk_queue *queue)
{
	struct list *idle;

	while (queue->in_flight)
		fiber_queue_wait_always(&queue->drained);
	virtqueue_notify(queue->vq);
	while ((idle = list_pop(&queue->idle)))
		free(list_entry(idle, struct virtio_blk_request, node));
}
