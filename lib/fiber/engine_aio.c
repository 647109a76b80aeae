/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libaio engine, for machines where io_uring is refused: containers with the usual seccomp
 * filters, kernel.io_uring_disabled.
 *
 * Reads, writes, fdatasync and polls (IOCB_CMD_POLL, Linux 4.19) go through one context and are
 * awaited by one io_getevents(); fallocate is done at once on the calling thread, and so are, by the
 * kernel, reads and writes of files without O_DIRECT. Completions lie in a ring in memory, which is
 * looked at without a system call (struct aio_ring, fs/aio.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "fiber/worker_private.h"
#include "fiber/aio_library.h"
#include "util/error.h"

#define BATCH         64
#define POLLS_RESERVE 64 /* places that polls, which may wait for ever, leave to the disks */
#define RETRY_NS      1000000
#define RING_MAGIC    0xa10a10a1

struct aio {
	io_context_t context;
	unsigned room;     /* requests that the context takes */
	unsigned used;     /* that it has */
	unsigned polls;    /* polls of fibers among those in it and in the queue */
	struct list queue; /* requests that the kernel has not got yet */
};

struct aio_ring {
	unsigned id, nr, head, tail, magic;
};

static bool has_events(const struct aio *aio)
{
	const volatile struct aio_ring *ring = (const volatile struct aio_ring *)aio->context;

	return ring->magic != RING_MAGIC || ring->head != ring->tail;
}

/* Whether this kernel's aio has polls, without which nothing could wake us. */
static int probe_poll(struct aio *aio, int fd)
{
	struct timespec soon = { 0 };
	struct io_event event;
	struct iocb iocb, *list = &iocb;
	int done;

	io_prep_poll(&iocb, fd, POLLOUT); /* an eventfd is writable */
	done = libaio.io_submit(aio->context, 1, &list);
	if (done != 1)
		return done < 0 ? done : -EAGAIN;
	return libaio.io_getevents(aio->context, 1, 1, &event, &soon) == 1 ? 0 : -EIO;
}

static int aio_create(struct worker *worker, struct error *error)
{
	static const unsigned rooms[] = { 2048, 512, 128 };
	int rc = libaio_load(error);
	struct aio *aio;

	if (rc)
		return rc;
	aio = calloc(1, sizeof(*aio));
	rc = -EAGAIN;
	if (!aio)
		return error_set(error, -ENOMEM, "libaio: no memory");
	/* -EAGAIN: more than fs.aio-max-nr leaves. */
	for (unsigned i = 0; rc == -EAGAIN && i < ARRAY_SIZE(rooms); i++) {
		aio->room = rooms[i];
		rc = libaio.io_setup((int)aio->room, &aio->context);
	}
	if (rc) {
		free(aio);
		error_set(error, rc, "libaio: io_setup(): %s", error_name(rc));
		if (rc == -EAGAIN)
			error_advise(error, "raise the sysctl fs.aio-max-nr");
		return rc;
	}
	rc = probe_poll(aio, worker->wake_fd);
	if (rc) {
		libaio.io_destroy(aio->context);
		free(aio);
		return error_set(error, -ENOSYS,
				 "libaio: IOCB_CMD_POLL: %s, expected Linux 4.19 or later",
				 error_name(rc));
	}
	list_init(&aio->queue);
	worker->ring = aio;
	return 0;
}

static void aio_destroy(struct worker *worker)
{
	struct aio *aio = worker->ring;

	libaio.io_destroy(aio->context);
	free(aio);
}

static int aio_start(struct worker *worker)
{
	(void)worker;
	return 0;
}

static void aio_stop(struct worker *worker)
{
	(void)worker;
}

static void complete(struct worker *worker, struct worker_request *request, int result)
{
	struct aio *aio = worker->ring;

	aio->polls -= request->type == WORKER_POLL;
	worker_complete(worker, request, result);
}

static void prepare(struct worker_request *request)
{
	struct iocb *iocb = &request->iocb;

	switch (request->type) {
	case WORKER_READ:
		io_prep_preadv(iocb, request->fd, request->iov, (int)request->count,
			       (long long)request->offset);
		break;
	case WORKER_WRITE:
		io_prep_pwritev2(iocb, request->fd, request->iov, (int)request->count,
				 (long long)request->offset, request->flags);
		break;
	case WORKER_FDATASYNC:
		io_prep_fdsync(iocb, request->fd);
		break;
	case WORKER_POLL:
		io_prep_poll(iocb, request->fd, request->flags);
		break;
	case WORKER_FALLOCATE:
		break;
	}
	iocb->data = request;
}

static void aio_submit(struct worker *worker, struct worker_request *request)
{
	struct aio *aio = worker->ring;
	bool poll = request->type == WORKER_POLL;

	aio->polls += poll;
	list_init(&request->node);
	if (request->type == WORKER_FALLOCATE) {
		int rc = fallocate(request->fd, request->flags, (off_t)request->offset,
				   (off_t)request->length);

		complete(worker, request, rc ? -errno : 0);
	} else if (poll && !request->must && aio->polls > aio->room - POLLS_RESERVE) {
		complete(worker, request, -EAGAIN);
	} else {
		prepare(request);
		list_add_tail(&aio->queue, &request->node);
	}
}

/* Of the first request in the queue, that the kernel refused. */
static void refused(struct worker *worker, struct worker_request *request, int error)
{
	int result = error;

	list_remove(&request->node);
	/* Some file systems sync only synchronously. */
	if (request->type == WORKER_FDATASYNC && error == -EINVAL)
		result = fdatasync(request->fd) ? -errno : 0;
	complete(worker, request, result);
}

/* Gives the kernel what is queued, as far as it takes it; returns how many requests it refused and
 * which are therefore complete. */
static unsigned flush(struct worker *worker)
{
	struct aio *aio = worker->ring;
	struct iocb *batch[BATCH];
	unsigned completed = 0;

	while (!list_empty(&aio->queue) && aio->used < aio->room) {
		unsigned count = 0;
		int taken;

		for (struct list *at = aio->queue.next;
		     at != &aio->queue && count < MIN(BATCH, aio->room - aio->used); at = at->next)
			batch[count++] = &list_entry(at, struct worker_request, node)->iocb;
		worker->counters.enters++;
		taken = libaio.io_submit(aio->context, count, batch);
		if (taken == -EAGAIN || taken == -EINTR)
			break;
		for (int i = 0; i < taken; i++)
			list_pop(&aio->queue);
		if (taken > 0) {
			aio->used += (unsigned)taken;
		} else {
			refused(worker, batch[0]->data, taken);
			completed++;
		}
	}
	return completed;
}

/* A poll's result is the waker's mask, with more in it than was asked for (aio_poll_wake(),
 * fs/aio.c, Linux 6.1); 0 when it was cancelled. */
static int poll_result(const struct worker_request *request, int result)
{
	if (result > 0)
		result &= request->flags | POLLERR | POLLHUP | POLLNVAL;
	return result ? result : -ECANCELED;
}

static unsigned take_events(struct worker *worker, long least, struct timespec *timeout)
{
	struct aio *aio = worker->ring;
	struct io_event events[BATCH];
	int count;

	worker->counters.enters++;
	count = libaio.io_getevents(aio->context, least, BATCH, events, timeout);
	for (int i = 0; i < count; i++) {
		struct worker_request *request = events[i].data;
		int result = (int)events[i].res;

		aio->used--;
		if (request->type == WORKER_POLL)
			result = poll_result(request, result);
		complete(worker, request, result);
	}
	return count > 0 ? (unsigned)count : 0;
}

static unsigned aio_reap(struct worker *worker, bool submit)
{
	struct aio *aio = worker->ring;
	struct timespec none = { 0 };
	unsigned completed = submit ? flush(worker) : 0;

	if (has_events(aio))
		completed += take_events(worker, 0, &none);
	return completed;
}

static void aio_wait(struct worker *worker, uint64_t timeout_ns)
{
	struct aio *aio = worker->ring;
	struct timespec timeout;

	if (flush(worker))
		return;
	/* Where the kernel had no place for all and nothing of ours will free one. */
	if (!list_empty(&aio->queue) && timeout_ns > RETRY_NS)
		timeout_ns = RETRY_NS;
	timeout.tv_sec = (time_t)(timeout_ns / NS_PER_SECOND);
	timeout.tv_nsec = (long)(timeout_ns % NS_PER_SECOND);
	take_events(worker, 1, timeout_ns == FIBER_FOREVER ? NULL : &timeout);
}

static void aio_cancel(struct worker *worker, struct worker_request *request)
{
	struct aio *aio = worker->ring;
	struct io_event event;

	if (!list_empty(&request->node)) {
		list_remove(&request->node);
		complete(worker, request, -ECANCELED);
		return;
	}
	/* -EINPROGRESS: its event comes through the ring, as always since Linux 4.19; any other error:
	 * it is there already. */
	if (!libaio.io_cancel(aio->context, &request->iocb, &event)) {
		aio->used--;
		complete(worker, request, -ECANCELED);
	}
}

const struct engine engine_aio = {
	.name = "libaio",
	.create = aio_create,
	.destroy = aio_destroy,
	.start = aio_start,
	.stop = aio_stop,
	.submit = aio_submit,
	.cancel = aio_cancel,
	.reap = aio_reap,
	.wait = aio_wait,
};
