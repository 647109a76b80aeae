/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests to files without a fiber, and flushes that are shared.
 *
 * A transfer that the kernel takes as it is goes to the ring; one that comes back short is done again by
 * file.c. All flushes that come while one runs are the next one: it begins after each of them came, so it
 * covers what each of them has to.
 *
 * A flush that fails on a file that goes through the page cache may have marked pages clean that never
 * reached the disk, and the next would say that all is well: from then on all flushes fail, as QEMU's
 * file-posix.c does it.
 *
 *	idle --flush--> running, started + 1 --done--> idle; or running again, for those who came meanwhile
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "block/file.h"
#include "fiber/fiber.h"

/* ---- Flushes ---- */

struct flush_waiter {
	struct list node;
	uint64_t number; /* of the flush that it waits for */
	int result;
	bool done, leads; /* it is to run the flush that it waits for */
	struct fiber_queue queue;
};

void file_flushes_init(struct file_flushes *flushes)
{
	*flushes = (struct file_flushes){ .running = false };
	list_init(&flushes->waiters);
}

static void flush_begins(struct file_flushes *flushes)
{
	flushes->running = true;
	flushes->started++;
}

/* Tells those who waited for this one, and has one of the others run the next. */
static int flush_ended(struct file *file, int rc)
{
	struct file_flushes *flushes = &file->flushes;
	uint64_t ended = flushes->started;

	flushes->running = false;
	if (rc < 0 && file_is_cached(file))
		flushes->lost = true;
	rc = flushes->lost ? -EIO : file_error(file, MIN(rc, 0));
	list_for_each_safe(at, &flushes->waiters) {
		struct flush_waiter *waiter = list_entry(at, struct flush_waiter, node);

		if (waiter->number == ended) {
			waiter->result = rc;
			waiter->done = true;
		} else if (!flushes->running) {
			flush_begins(flushes);
			waiter->leads = true;
		} else {
			continue;
		}
		list_remove(&waiter->node);
		fiber_queue_wake_all(&waiter->queue);
	}
	return rc;
}

/* Not inlined: gcc 12 would take a waiter on a suspended stack for a dangling one. */
static __attribute__((noinline)) void flush_wait(struct file_flushes *flushes,
						 struct flush_waiter *waiter)
{
	fiber_queue_init(&waiter->queue);
	list_add_tail(&flushes->waiters, &waiter->node);
	while (!waiter->done && !waiter->leads)
		fiber_queue_wait_always(&waiter->queue);
}

/* In memory there is nothing to do, and the system says so at once. */
static int sync_now(const struct file *file)
{
	return fdatasync(file->fd) ? -errno : 0;
}

int file_flush(struct block *block)
{
	struct file *file = file_of(block);
	struct flush_waiter waiter = { .number = file->flushes.started + 1 };

	if (block->read_only)
		return 0;
	if (file->flushes.running)
		flush_wait(&file->flushes, &waiter);
	else
		flush_begins(&file->flushes);
	if (waiter.done)
		return waiter.result;
	return flush_ended(file, file->in_memory ? sync_now(file) : fiber_fdatasync(file->fd));
}

/* ---- Without a fiber ---- */

static void transfer_ended(struct block_work *work, int result)
{
	struct file *file = file_of(work->block);

	if (work->held)
		range_unlock(&file->writes, &work->hold);
	if (result == -EINTR || (result >= 0 && (uint64_t)result < work->length))
		result = -EAGAIN;
	work->done(work, file_error(file, MIN(result, 0)));
}

static void transfer_done(struct worker_request *request, int result)
{
	transfer_ended(container_of(request, struct block_work, request), result);
}

static void flush_done(struct worker_request *request, int result)
{
	struct block_work *work = container_of(request, struct block_work, request);

	work->done(work, flush_ended(file_of(work->block), result));
}

static bool transfer_fits(const struct file *file, const struct block_work *work)
{
	if (work->length > INT_MAX || work->count > IOV_MAX)
		return false;
	return !file->direct || (work->offset + work->length <= file->direct_end &&
				 file_fits_direct(file, work->offset, work->length,
						  iov_range_of(work->iov, work->count)));
}

/* A write with FUA through the page cache is a write and a flush: file.c. */
static bool syncs(const struct file *file, const struct block_work *work)
{
	return work->kind == BLOCK_WRITE && work->flags & BLOCK_FUA && file_is_cached(file);
}

/* As changes_lock() of file.c. */
static bool lock_change(struct file *file, struct block_work *work)
{
	work->held =
		work->kind == BLOCK_WRITE && file->direct_unit > file->block.logical_block_size;
	return !work->held || range_try_lock(&file->writes, &work->hold, work->offset,
					     work->offset + work->length);
}

/* Not as one literal, for which the compiler would clear what the ring fills in. */
static void transfer_prepare(const struct file *file, struct block_work *work)
{
	struct worker_request *request = &work->request;

	request->type = work->kind == BLOCK_READ ? WORKER_READ : WORKER_WRITE;
	request->fd = file->fd;
	request->flags = work->flags & BLOCK_FUA ? RWF_DSYNC : 0;
	request->count = work->count;
	request->iov = work->iov;
	request->offset = work->offset;
	request->length = work->length;
	request->ending = false;
	request->must = false;
	request->done = transfer_done;
}

bool file_start(struct block *block, struct block_work *work)
{
	struct file *file = file_of(block);

	switch (work->kind) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		/* Of one that became shorter file.c has to tell. */
		if (!transfer_fits(file, work) || syncs(file, work) ||
		    (work->kind == BLOCK_WRITE && file_shrank_before(file)) ||
		    !lock_change(file, work))
			return false;
		if (file->in_memory && file_transfers_now(file, work->length)) {
			transfer_ended(
				work, (int)file_transfer_now(file->fd, work->kind == BLOCK_WRITE,
							     work->iov, work->count, work->offset));
			return true;
		}
		transfer_prepare(file, work);
		break;
	case BLOCK_FLUSH:
		if (block->read_only || file->flushes.running)
			return false;
		flush_begins(&file->flushes);
		if (file->in_memory) {
			work->done(work, flush_ended(file, sync_now(file)));
			return true;
		}
		work->request = (struct worker_request){ .type = WORKER_FDATASYNC,
							 .fd = file->fd,
							 .done = flush_done };
		break;
	default:
		return false;
	}
	worker_submit(worker_current(), &work->request);
	return true;
}
