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
#include "block/start.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "virtio/virtio_blk_private.h"

/* A few more pieces than a driver may use, for buffers that lie across two regions of memory. */
#define REQUEST_PIECES (VIRTIO_BLK_SEGMENTS + 2 + 16)

#define HEADER_BYTES sizeof(struct virtio_blk_outhdr)
static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio-blk request header");
static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "virtio-blk range");

/* Data of a request: a place in the chain, and how much. */
struct data {
	struct iov_range at;
	uint64_t bytes;
};

struct virtio_blk_request {
	struct list node; /* in queue->idle, or in queue->returned */
	struct virtio_blk_queue *queue;
	struct virtqueue_chain chain;

	/* The chain, taken apart */
	struct virtio_blk_outhdr header;
	struct data out, in;
	uint8_t *status;
	struct iovec *last, whole; /* the iovec that the status is at the end of, as it was */

	struct block_request io; /* of a transfer or a flush */
	struct iovec iov[REQUEST_PIECES];
};

void virtio_blk_queue_init(struct virtio_blk_queue *queue, struct virtio_blk *blk,
			   struct virtqueue *vq)
{
	*queue = (struct virtio_blk_queue){
		.blk = blk, .vq = vq, .block = blk->block, .counters = &blk->counters
	};
	list_init(&queue->idle);
	list_init(&queue->returned);
	fiber_queue_init(&queue->drained);
}

/* ---- Requests ---- */

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
	return __atomic_load_n(&blk->cache, __ATOMIC_RELAXED) == VIRTIO_BLK_WRITE_BACK ? 0
										       : BLOCK_FUA;
}

/* Who flushes has a cache. What the driver chooses meanwhile stands. */
static void note_flush(struct virtio_blk *blk)
{
	enum virtio_blk_cache guess = VIRTIO_BLK_WRITE_THROUGH_GUESSED;

	if (__atomic_load_n(&blk->cache, __ATOMIC_RELAXED) == guess)
		__atomic_compare_exchange_n(&blk->cache, &guess, VIRTIO_BLK_WRITE_BACK, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Makes ready `request->io`. 0, or a negative errno. */
static int prepare_transfer(struct virtio_blk_request *request, bool write)
{
	struct virtio_blk_queue *queue = request->queue;
	struct virtio_blk_counters *counters = queue->counters;
	struct data *data = write ? &request->out : &request->in;
	struct block_request *io = &request->io;

	if (write) {
		virtqueue_count(&counters->writes, 1);
		virtqueue_count(&counters->written_bytes, data->bytes);
	} else {
		virtqueue_count(&counters->reads, 1);
		virtqueue_count(&counters->read_bytes, data->bytes);
	}
	io->kind = write ? BLOCK_WRITE : BLOCK_READ;
	io->flags = write ? write_flags(queue->blk) : 0;
	io->length = data->bytes;
	if (!locate(queue->block, le64toh(request->header.sector), data->bytes, &io->offset))
		return -EINVAL;
	if (write && queue->block->read_only)
		return -EROFS;
	io->iov = trim(data, &io->count);
	return 0;
}

static int prepare_flush(struct virtio_blk_request *request)
{
	struct block_request *io = &request->io;

	virtqueue_count(&request->queue->counters->flushes, 1);
	note_flush(request->queue->blk);
	io->kind = BLOCK_FLUSH;
	io->flags = 0;
	io->offset = io->length = 0;
	io->iov = NULL;
	io->count = 0;
	return 0;
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

/* What is no transfer. 0 or a negative errno; -EOPNOTSUPP for what this device cannot do. Sets *written to the bytes
 * of data given to the driver. */
static int carry_out(struct virtio_blk_request *request, uint64_t *written)
{
	struct virtio_blk_queue *queue = request->queue;

	switch (le32toh(request->header.type)) {
	case VIRTIO_BLK_T_DISCARD:
		return erase_all(queue, false, &request->out);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return erase_all(queue, true, &request->out);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(queue, &request->in, written);
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

/* By the queue's own worker; others may look at it. */
static void count_in_flight(struct virtio_blk_queue *queue, int change)
{
	__atomic_store_n(&queue->in_flight, queue->in_flight + (unsigned)change, __ATOMIC_RELAXED);
}

/* Answers the driver. The request may be used again from then on. */
static void finish(struct virtio_blk_request *request, int rc, uint64_t written)
{
	struct virtio_blk_queue *queue = request->queue;
	bool all = written == request->in.bytes;

	*request->status = status_of(queue, rc);
	*request->last = request->whole; /* what is pushed is the chain as it was popped */
	/* used.len counts from the buffer's start on, without gaps (2.7.8.2): where the data was not
	 * written whole, the status after it does not count. */
	virtqueue_push(queue->vq, &request->chain, (uint32_t)written + all);
	list_add_head(&queue->idle, &request->node);
	/* The last one tells the driver at once; while others are at work or are being taken, the next poll, or the end
	 * of this one, tells it of all that ended in between. */
	count_in_flight(queue, -1);
	if (queue->in_flight == 0 && !queue->taking) {
		virtqueue_notify(queue->vq);
		fiber_queue_wake_all(&queue->drained);
	}
}

/* The protocol has one word for all that can be wrong with a disk; what it is, whoever runs it must know. */
static void log_failed(const struct virtio_blk_request *request, int rc)
{
	static const char *const what[] = {
		[BLOCK_READ] = "reading", [BLOCK_WRITE] = "writing", [BLOCK_FLUSH] = "flushing"
	};
	const struct virtio_blk *blk = request->queue->blk;
	const struct block_request *io = &request->io;

	log_warning(blk->log, "%s: %s %llu bytes at byte %llu: %s", blk->block->name,
		    what[io->kind], (unsigned long long)io->length, (unsigned long long)io->offset,
		    error_name(rc));
}

static void finish_io(struct virtio_blk_request *request, int rc)
{
	if (rc < 0)
		log_failed(request, rc);
	finish(request, rc, request->io.kind == BLOCK_READ && rc == 0 ? request->in.bytes : 0);
}

static void run_io(struct virtio_blk_request *request)
{
	const struct block_request *io = &request->io;
	int rc;

	if (io->kind == BLOCK_FLUSH)
		rc = block_flush(io->block);
	else if (io->kind == BLOCK_WRITE)
		rc = block_writev(io->block, io->offset, io->iov, io->count, io->flags);
	else
		rc = block_readv(io->block, io->offset, io->iov, io->count);
	finish_io(request, rc);
}

/* What cannot be started. */
static int run_one(void *arg)
{
	run_io(arg);
	return 0;
}

/* What was started and could not be done so. Many may come back at once, and have not been counted as fibers. */
static int run_returned(void *arg)
{
	struct virtio_blk_queue *queue = arg;
	struct list *next;

	while ((next = list_pop(&queue->returned)))
		run_io(list_entry(next, struct virtio_blk_request, node));
	queue->returning--;
	return 0;
}

static void io_done(struct block_request *io, int rc)
{
	struct virtio_blk_request *request = container_of(io, struct virtio_blk_request, io);
	struct virtio_blk_queue *queue = request->queue;

	if (rc != -EAGAIN) {
		finish_io(request, rc);
		return;
	}
	list_add_tail(&queue->returned, &request->node);
	if (queue->returning < VIRTIO_BLK_FEW) {
		queue->returning++;
		fiber_start(run_returned, queue);
	}
}

static int run_other(void *arg)
{
	struct virtio_blk_request *request = arg;
	uint64_t written = 0;
	int rc = carry_out(request, &written);

	finish(request, rc, written);
	return 0;
}

/* The chain has a writable byte. 0, or -EINVAL where it has no whole header. */
static int take_apart(struct virtio_blk_request *request)
{
	struct virtqueue_chain *chain = &request->chain;

	request->out =
		(struct data){ iov_range_of(chain->iov, chain->readable), chain->readable_bytes };
	request->in = (struct data){ iov_range_of(chain->iov + chain->readable, chain->writable),
				     chain->writable_bytes - 1 };
	request->last = &chain->iov[chain->readable + chain->writable - 1];
	request->whole = *request->last;
	request->status = (uint8_t *)request->whole.iov_base + request->whole.iov_len - 1;
	if (request->out.bytes < HEADER_BYTES)
		return -EINVAL;
	iov_copy_out(&request->out.at, &request->header, HEADER_BYTES);
	request->out.bytes -= HEADER_BYTES;
	return 0;
}

/* Transfers and flushes go without a fiber where they can. */
static void begin(struct virtio_blk_request *request)
{
	int rc = take_apart(request);

	if (rc) {
		finish(request, rc, 0);
		return;
	}
	request->io.block = request->queue->block;
	switch (le32toh(request->header.type)) {
	case VIRTIO_BLK_T_IN:
		rc = prepare_transfer(request, false);
		break;
	case VIRTIO_BLK_T_OUT:
		rc = prepare_transfer(request, true);
		break;
	case VIRTIO_BLK_T_FLUSH:
		rc = prepare_flush(request);
		break;
	default:
		fiber_start(run_other, request);
		return;
	}
	if (rc)
		finish(request, rc, 0);
	else if (!request->io.length && request->io.kind != BLOCK_FLUSH)
		finish_io(request, 0);
	else if (!block_start(&request->io))
		fiber_start(run_one, request);
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
	request->io.done = io_done;
	return request;
}

/* How many more it may carry out now. Where that is none, it carries out some, whose end wakes the worker. */
static unsigned room(const struct virtio_blk_queue *queue)
{
	unsigned crowd = MAX(worker_fibers(), worker_requests());
	unsigned most = crowd < VIRTIO_BLK_CROWD ? VIRTIO_BLK_IN_FLIGHT : VIRTIO_BLK_FEW;

	return queue->in_flight < most ? most - queue->in_flight : 0;
}

int virtio_blk_queue_poll(struct virtio_blk_queue *queue, unsigned burst)
{
	unsigned done = virtqueue_notify_pending(queue->vq);
	int got = 1;

	virtqueue_notify(queue->vq);
	queue->taking = true;
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
		begin(request);
	}
	queue->taking = false;
	if (!queue->in_flight) {
		virtqueue_notify(queue->vq);
		fiber_queue_wake_all(&queue->drained);
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
