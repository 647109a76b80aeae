/* SPDX-License-Identifier: BSD-2-Clause */
/* Batches of reads and writes; see tap_batch.h. */
#include "netdev/tap_batch.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>

#include "netdev/tap.h"
#include "util/bytes.h"

struct tap_batch {
	struct io_uring ring;
	bool registered; /* the descriptors are: they are not looked up for each frame */
	int fds[];       /* of each queue; or, if they are registered, its index */
};

/* A write of one byte is no frame, and is refused for one reason or the other. */
static bool knows_nowait(int fd)
{
	struct iovec byte = { (char[1]){ 0 }, 1 };

	return pwritev2(fd, &byte, 1, -1, RWF_NOWAIT) < 0 && errno != EOPNOTSUPP;
}

int tap_batch_create(struct tap_batch **out, const struct tap *tap)
{
	/* One failed operation must not hold up those behind it. */
	static const unsigned flags[] = { IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
					  IORING_SETUP_SUBMIT_ALL };
	struct tap_batch *batch;
	int rc = -ENOMEM;

	if (!knows_nowait(tap->fd))
		return -EOPNOTSUPP;
	batch = calloc(1, sizeof(*batch) + tap->queues * sizeof(batch->fds[0]));
	if (!batch)
		return -ENOMEM;
	for (unsigned i = 0; i < tap->queues; i++)
		batch->fds[i] = tap_queue_fd(tap, i);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		rc = io_uring_queue_init(TAP_BATCH_MAX, &batch->ring, flags[i]);
		if (rc)
			continue;
		batch->registered = !io_uring_register_files(&batch->ring, batch->fds, tap->queues);
		for (unsigned queue = 0; batch->registered && queue < tap->queues; queue++)
			batch->fds[queue] = (int)queue;
		*out = batch;
		return 0;
	}
	free(batch);
	return rc;
}

void tap_batch_destroy(struct tap_batch *batch)
{
	if (!batch)
		return;
	/* The ring ends some time after this, and a TAP with its last descriptor. */
	if (batch->registered)
		io_uring_unregister_files(&batch->ring);
	io_uring_queue_exit(&batch->ring);
	free(batch);
}

/* Submits what was prepared and collects all `count` results. */
static void run_batch(struct tap_batch *batch, struct tap_batch_frame *frames, unsigned count)
{
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++)
		frames[i].result = -EIO;
	while (done < count) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;
		int rc = io_uring_submit_and_wait(&batch->ring, count - done);

		io_uring_for_each_cqe(&batch->ring, head, cqe)
		{
			frames[io_uring_cqe_get_data64(cqe)].result = cqe->res;
			seen++;
		}
		io_uring_cq_advance(&batch->ring, seen);
		done += seen;
		if (rc < 0 && rc != -EINTR && rc != -EAGAIN && !seen)
			return;
	}
}

static void prepare(struct tap_batch *batch, const struct tap_batch_frame *frames, unsigned count,
		    bool write)
{
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&batch->ring);
		const struct iovec *pieces = frames[i].pieces;
		int fd = batch->fds[frames[i].queue];

		if (frames[i].count == 1)
			io_uring_prep_rw(write ? IORING_OP_WRITE : IORING_OP_READ, sqe, fd,
					 pieces->iov_base, (unsigned)pieces->iov_len, (uint64_t)-1);
		else
			io_uring_prep_rw(write ? IORING_OP_WRITEV : IORING_OP_READV, sqe, fd,
					 pieces, frames[i].count, (uint64_t)-1);
		sqe->rw_flags = RWF_NOWAIT;
		if (batch->registered)
			sqe->flags |= IOSQE_FIXED_FILE;
		io_uring_sqe_set_data64(sqe, i);
	}
}

void tap_batch_read(struct tap_batch *batch, struct tap_batch_frame *frames, unsigned count)
{
	prepare(batch, frames, count, false);
	run_batch(batch, frames, count);
}

void tap_batch_write(struct tap_batch *batch, struct tap_batch_frame *frames, unsigned count)
{
	prepare(batch, frames, count, true);
	run_batch(batch, frames, count);
}
