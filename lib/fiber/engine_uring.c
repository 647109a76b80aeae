/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The io_uring engine: requests become submission entries at once and go to the kernel together,
 * once per round of the loop.
 *
 * The ring is made disabled and enabled on the loop's thread, which is then its only issuer (Linux
 * 6.0); completions run in that thread when it enters the kernel for them (DEFER_TASKRUN, 6.1), and
 * a flag in the ring says when there are any. Older kernels get fewer of these.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fiber/worker_private.h"
#include "util/error.h"

#define SQ_ENTRIES 256
#define CQ_ENTRIES 4096

struct uring {
	struct io_uring ring;
	bool has_table; /* of pinned memory */
	pid_t owner;    /* the thread that enabled it, or 0 */
};

static const unsigned setups[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
		IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
		IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
	IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
	IORING_SETUP_CQSIZE,
};

static int open_ring(struct io_uring *ring)
{
	int rc = -EINVAL;

	for (unsigned i = 0; rc == -EINVAL && i < ARRAY_SIZE(setups); i++) {
		struct io_uring_params params = { .flags = setups[i], .cq_entries = CQ_ENTRIES };

		rc = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
	}
	return rc;
}

static bool ring_has_operations(struct io_uring *ring)
{
	static const int needed[] = { IORING_OP_READV,     IORING_OP_WRITEV,
				      IORING_OP_READ,      IORING_OP_WRITE,
				      IORING_OP_FSYNC,     IORING_OP_POLL_ADD,
				      IORING_OP_FALLOCATE, IORING_OP_ASYNC_CANCEL };
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	/* Waits with a time limit are Linux 5.11's; before, they were entries of their own. */
	bool all = probe && ring->features & IORING_FEAT_EXT_ARG;

	for (unsigned i = 0; all && i < ARRAY_SIZE(needed); i++)
		all = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return all;
}

static int uring_create(struct worker *worker, struct error *error)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int rc;

	if (!uring)
		return error_set(error, -ENOMEM, "io_uring: no memory");
	rc = open_ring(&uring->ring);
	if (rc) {
		free(uring);
		return error_set(error, rc, "io_uring: io_uring_setup(): %s", error_name(rc));
	}
	if (!ring_has_operations(&uring->ring)) {
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return error_set(error, -ENOSYS,
				 "io_uring: this kernel's lacks operations, expected Linux 5.11's");
	}
	/* A child has no use for it; and User Mode Linux 6.12 miscounts the pages of a ring that is inherited, and panics later. */
	io_uring_ring_dontfork(&uring->ring);
	worker->ring = uring;
	return 0;
}

static void uring_destroy(struct worker *worker)
{
	struct uring *uring = worker->ring;

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

/* liburing 2.3 declares io_uring_enable_rings() and does not export it. */
static int enable(struct io_uring *ring)
{
	long rc = syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
			  0);

	return rc < 0 ? -errno : 0;
}

static int uring_start(struct worker *worker)
{
	struct uring *uring = worker->ring;
	int rc = 0;

	if (uring->owner && uring->owner != gettid()) {
		/* It cannot change its issuer. Nothing of an earlier run is in it but watches. */
		io_uring_queue_exit(&uring->ring);
		watch_ring_ended(worker, false);
		uring->owner = 0;
		uring->has_table = false;
		rc = open_ring(&uring->ring);
	}
	if (!rc && !uring->owner && uring->ring.flags & IORING_SETUP_R_DISABLED)
		rc = enable(&uring->ring);
	if (rc < 0)
		return rc;
	uring->owner = gettid();
	/* Spares each enter the look-up of the descriptor. Works without, too. */
	io_uring_register_ring_fd(&uring->ring);
	return 0;
}

static void uring_stop(struct worker *worker)
{
	struct uring *uring = worker->ring;

	io_uring_submit(&uring->ring);
	io_uring_unregister_ring_fd(&uring->ring);
}

static unsigned take_completions(struct worker *worker)
{
	struct io_uring *ring = &((struct uring *)worker->ring)->ring;
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(ring, head, cqe)
	{
		struct worker_request *request = io_uring_cqe_get_data(cqe);

		count++;
		if (request) /* else the answer to a cancel */
			worker_complete(worker, request, cqe->res);
	}
	io_uring_cq_advance(ring, count);
	return count;
}

static struct io_uring_sqe *get_sqe(struct worker *worker)
{
	struct io_uring *ring = &((struct uring *)worker->ring)->ring;
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(ring))) {
		/* Full. Where the kernel takes nothing (-EBUSY, -EAGAIN), taking completions helps. */
		worker->counters.enters++;
		if (io_uring_submit_and_get_events(ring) < 0)
			take_completions(worker);
	}
	return sqe;
}

/* Entries have 32 bits for it; the kernel moves no more at once (MAX_RW_COUNT). */
static unsigned length_of(const struct iovec *iov)
{
	return (unsigned)MIN(iov->iov_len, (size_t)0x7ffff000);
}

/* The buffer that a request's memory lies in, or -1. */
static int pinned_slot(const struct worker *worker, const struct worker_request *request)
{
	if (!worker->pins.count || request->count != 1)
		return -1;
	return worker_pinned_slot(&worker->pins, request->iov->iov_base, length_of(request->iov));
}

static void uring_submit(struct worker *worker, struct worker_request *request)
{
	struct io_uring_sqe *sqe = get_sqe(worker);
	const struct iovec *iov = request->iov;
	int slot;

	switch (request->type) {
	case WORKER_READ:
		slot = pinned_slot(worker, request);
		if (slot >= 0)
			io_uring_prep_read_fixed(sqe, request->fd, iov->iov_base, length_of(iov),
						 request->offset, slot);
		else if (request->count == 1)
			io_uring_prep_read(sqe, request->fd, iov->iov_base, length_of(iov),
					   request->offset);
		else
			io_uring_prep_readv(sqe, request->fd, iov, request->count, request->offset);
		break;
	case WORKER_WRITE:
		slot = pinned_slot(worker, request);
		if (slot >= 0)
			io_uring_prep_write_fixed(sqe, request->fd, iov->iov_base, length_of(iov),
						  request->offset, slot);
		else if (request->count == 1)
			io_uring_prep_write(sqe, request->fd, iov->iov_base, length_of(iov),
					    request->offset);
		else
			io_uring_prep_writev(sqe, request->fd, iov, request->count,
					     request->offset);
		sqe->rw_flags = request->flags;
		break;
	case WORKER_FDATASYNC:
		io_uring_prep_fsync(sqe, request->fd, IORING_FSYNC_DATASYNC);
		break;
	case WORKER_FALLOCATE:
		io_uring_prep_fallocate(sqe, request->fd, request->flags, request->offset,
					request->length);
		break;
	case WORKER_POLL:
		io_uring_prep_poll_add(sqe, request->fd, request->flags);
		break;
	}
	io_uring_sqe_set_data(sqe, request);
}

static void uring_cancel(struct worker *worker, struct worker_request *request)
{
	struct io_uring_sqe *sqe = get_sqe(worker);

	/* Entries are taken in order: this cannot hit a later request at the same address. */
	io_uring_prep_cancel(sqe, request, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static unsigned uring_reap(struct worker *worker, bool submit)
{
	struct io_uring *ring = &((struct uring *)worker->ring)->ring;
	unsigned flags = IO_URING_READ_ONCE(*ring->sq.kflags);

	if (flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN) ||
	    (submit && io_uring_sq_ready(ring))) {
		worker->counters.enters++;
		io_uring_submit_and_get_events(ring);
	}
	return io_uring_cq_ready(ring) ? take_completions(worker) : 0;
}

static void uring_wait(struct worker *worker, uint64_t timeout_ns)
{
	struct io_uring *ring = &((struct uring *)worker->ring)->ring;
	struct __kernel_timespec timeout = { .tv_sec = (long long)(timeout_ns / NS_PER_SECOND),
					     .tv_nsec = (long long)(timeout_ns % NS_PER_SECOND) };
	struct io_uring_cqe *cqe;

	worker->counters.enters++;
	io_uring_submit_and_wait_timeout(ring, &cqe, 1,
					 timeout_ns == FIBER_FOREVER ? NULL : &timeout, NULL);
}

/* ---- Pinned memory ---- */

static int update_slot(struct uring *uring, unsigned slot, void *at, size_t length)
{
	struct iovec iov = { at, length };
	int rc = io_uring_register_buffers_update_tag(&uring->ring, slot, &iov, NULL, 1);

	return MIN(rc, 0);
}

static int uring_pin(struct worker *worker, unsigned slot, void *at, size_t length)
{
	struct uring *uring = worker->ring;

	if (!uring->has_table && io_uring_register_buffers_sparse(&uring->ring, WORKER_PIN_SLOTS))
		return -EOPNOTSUPP;
	uring->has_table = true;
	return update_slot(uring, slot, at, length);
}

static void uring_unpin(struct worker *worker, unsigned slot)
{
	(void)update_slot(worker->ring, slot, NULL, 0);
}

const struct engine engine_uring = {
	.name = "io_uring",
	.create = uring_create,
	.destroy = uring_destroy,
	.start = uring_start,
	.stop = uring_stop,
	.submit = uring_submit,
	.cancel = uring_cancel,
	.reap = uring_reap,
	.pin = uring_pin,
	.unpin = uring_unpin,
	.wait = uring_wait,
};
