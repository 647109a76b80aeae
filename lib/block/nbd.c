/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk behind NBD; see nbd.h.
 *
 * libnbd runs the protocol and never waits here: a fiber of each connection waits for what the server says and has libnbd
 * read it, which calls finish() for requests that end. Who makes a request that does not go out at once waits for room and
 * has libnbd write the rest. Requests are on their fibers' stacks, so none returns before libnbd has ended it: one that has
 * waited too long shuts the socket down, and libnbd then ends them all.
 */
#include "block/nbd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/iov.h"
#include "block/layer.h"
#include "block/nbd_link.h"
#include "util/bytes.h"
#include "util/error.h"

#define RETRY_NS 1000000000ull

/* A request, on its fiber's stack. */
struct nbd_request {
	struct fiber_queue waiter;
	bool done;
	int error;

	/* of a question for extents */
	bool answered, zero;
	uint64_t length;
};

static struct nbd *nbd_of(struct block *block)
{
	return container_of(block, struct nbd, block);
}

/* ---- Requests ---- */

/* A connection to make a request by, which it keeps; -EIO where there is none. */
static int nbd_enter(struct nbd *nbd)
{
	int rc = 0;

	fiber_mutex_lock(&nbd->connecting);
	if (nbd->handle && (nbd->ended || nbd_link_is_over(nbd))) {
		while (nbd->users)
			fiber_queue_wait_always(&nbd->idle);
		/* Now that all that it has answered is counted. */
		nbd->lost |= nbd->written != nbd->flushed;
		nbd_link_drop(nbd);
	}
	if (!nbd->handle && !nbd->lost && !nbd->no_uri && worker_now() - nbd->tried_ns >= RETRY_NS)
		rc = nbd_link_connect(nbd, true, NULL);
	rc = nbd->handle && !nbd->lost ? 0 : -EIO;
	nbd->users += !rc;
	fiber_mutex_unlock(&nbd->connecting);
	return rc;
}

static void leave(struct nbd *nbd)
{
	if (!--nbd->users)
		fiber_queue_wake_all(&nbd->idle);
}

static int finish(void *arg, int *error)
{
	struct nbd_request *request = arg;

	request->done = true;
	request->error = *error;
	fiber_queue_wake_all(&request->waiter);
	return 1; /* libnbd may forget it */
}

/* Nobody waits for the server any more. What it has, it may carry out whenever it goes on. */
static void give_up(struct nbd *nbd)
{
	nbd->given_up = true;
	nbd_link_hang_up(nbd);
}

static int send_all(void *arg)
{
	struct nbd *nbd = arg;

	while (!nbd_link_is_over(nbd) &&
	       nbd->library.aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_WRITE) {
		int events = fiber_poll(nbd->library.aio_get_fd(nbd->handle), POLLOUT,
					BLOCK_NBD_LIMIT_NS);

		if (events == -ECANCELED)
			return events;
		if (events < 0) {
			give_up(nbd);
			break;
		}
		if (nbd->library.aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_WRITE)
			nbd->library.aio_notify_write(nbd->handle);
	}
	return 0;
}

/* What does not go out at once. */
static void send_rest(struct nbd *nbd)
{
	fiber_mutex_lock(&nbd->sending);
	if (send_all(nbd) == -ECANCELED)
		fiber_join(fiber_spawn(send_all, nbd));
	fiber_mutex_unlock(&nbd->sending);
}

struct nbd_wait {
	struct nbd *nbd;
	struct nbd_request *request;
	uint64_t end;
};

/* Until the request ends, or its time does: then nobody waits for the server any more. */
static int wait_until_done(void *arg)
{
	struct nbd_wait *wait = arg;
	int rc = 0;

	while (!wait->request->done && rc != -ECANCELED) {
		uint64_t now = worker_now();

		/* Also where it is over by now: an answer that is there is read before that (expire()). */
		rc = fiber_queue_wait(&wait->request->waiter,
				      now < wait->end ? wait->end - now : 0);
		if (rc == -ETIMEDOUT) {
			give_up(wait->nbd);
			return rc;
		}
	}
	return rc;
}

/* Of a request that libnbd has taken (`cookie`), until it ends: 0 or -EIO. As all I/O of disks it is not cancelled, or the
 * requests of others would end with the connection: who is cancelled has another fiber wait. */
static int wait_for(struct nbd *nbd, struct nbd_request *request, int64_t cookie)
{
	struct nbd_wait wait = { nbd, request, worker_now() + BLOCK_NBD_LIMIT_NS };

	if (cookie < 0)
		return -EIO;
	send_rest(nbd);
	if (wait_until_done(&wait) == -ECANCELED)
		fiber_join(fiber_spawn(wait_until_done, &wait));
	/* libnbd has the request, and its memory, until it says so. */
	while (!request->done) {
		if (nbd_link_is_over(nbd))
			break;
		fiber_queue_wait_always(&request->waiter);
	}
	return request->error || !request->done ? -EIO : 0;
}

static nbd_completion_callback callback(struct nbd_request *request)
{
	fiber_queue_init(&request->waiter);
	return (nbd_completion_callback){ .callback = finish, .user_data = request };
}

static int transfer_one(struct nbd *nbd, bool write, uint64_t offset, void *at, size_t length,
			uint32_t flags)
{
	struct nbd_request request = { .done = false };
	int64_t cookie = write ? nbd->library.aio_pwrite(nbd->handle, at, length, offset,
							 callback(&request), flags)
			       : nbd->library.aio_pread(nbd->handle, at, length, offset,
							callback(&request), 0);

	return wait_for(nbd, &request, cookie);
}

static int flush_entered(struct nbd *nbd)
{
	struct nbd_request request = { .done = false };
	uint64_t written = nbd->written;
	int rc = 0;

	if (nbd->can_flush)
		rc = wait_for(nbd, &request,
			      nbd->library.aio_flush(nbd->handle, callback(&request), 0));
	if (!rc)
		nbd->flushed = MAX(nbd->flushed, written);
	return rc;
}

/* After a write: it is to be durable, or counted as one that is not. */
static int written(struct nbd *nbd, unsigned flags)
{
	if (!(flags & BLOCK_FUA)) {
		nbd->written++;
		return 0;
	}
	return nbd->can_fua ? 0 : (nbd->written++, flush_entered(nbd));
}

/* A change failed with its connection: the server may have it still, and carry it out over newer data that came by a new one. */
static void note_failed(struct nbd *nbd, int rc)
{
	nbd->lost |= rc && (nbd->given_up || nbd->ended || nbd_link_is_over(nbd));
}

static uint32_t fua(const struct nbd *nbd, unsigned flags)
{
	return flags & BLOCK_FUA && nbd->can_fua ? LIBNBD_CMD_FLAG_FUA : 0;
}

/* libnbd takes memory in one piece. */
static int move_bytes(struct nbd *nbd, bool write, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count, unsigned flags)
{
	struct iov_range at = iov_range_of(iov, count);
	bool whole = count == 1;
	CLEANUP_FREE char *copy = whole ? NULL : malloc(MIN(length, (uint64_t)nbd->most));
	uint64_t done = 0;
	int rc = whole || copy ? 0 : -ENOMEM;

	while (!rc && done < length) {
		size_t step = (size_t)MIN(length - done, (uint64_t)nbd->most);
		char *memory = whole ? (char *)iov[0].iov_base + done : copy;

		if (!whole && write)
			iov_copy_out(&at, copy, step);
		rc = transfer_one(nbd, write, offset + done, memory, step, fua(nbd, flags));
		if (!rc && !whole && !write)
			iov_copy_in(&at, copy, step);
		done += step;
	}
	if (write)
		note_failed(nbd, rc);
	return rc || !write ? rc : written(nbd, flags);
}

static int nbd_readv(struct block *block, uint64_t offset, uint64_t length, const struct iovec *iov,
		     unsigned count)
{
	struct nbd *nbd = nbd_of(block);
	int rc = nbd_enter(nbd);

	if (rc)
		return rc;
	rc = move_bytes(nbd, false, offset, length, iov, count, 0);
	leave(nbd);
	return rc;
}

static int nbd_writev(struct block *block, uint64_t offset, uint64_t length,
		      const struct iovec *iov, unsigned count, unsigned flags)
{
	struct nbd *nbd = nbd_of(block);
	int rc = nbd_enter(nbd);

	if (rc)
		return rc;
	rc = move_bytes(nbd, true, offset, length, iov, count, flags);
	leave(nbd);
	return rc;
}

static int nbd_flush_all(struct block *block)
{
	struct nbd *nbd = nbd_of(block);
	int rc = nbd_enter(nbd);

	if (rc)
		return rc;
	rc = flush_entered(nbd);
	leave(nbd);
	return rc;
}

/* Zeroing and trimming: as much at a time as a request has room to say. */
static int erase(struct nbd *nbd, bool zero, uint64_t offset, uint64_t length, unsigned flags)
{
	uint32_t hint = fua(nbd, flags) |
			(zero && !(flags & BLOCK_MAY_UNMAP) ? LIBNBD_CMD_FLAG_NO_HOLE : 0);
	int rc = 0;

	while (!rc && length) {
		uint64_t step = MIN(length, 1ull << 30);
		struct nbd_request request = { .done = false };
		int64_t cookie = zero ? nbd->library.aio_zero(nbd->handle, step, offset,
							      callback(&request), hint)
				      : nbd->library.aio_trim(nbd->handle, step, offset,
							      callback(&request), 0);

		rc = wait_for(nbd, &request, cookie);
		offset += step;
		length -= step;
	}
	note_failed(nbd, rc);
	return rc || !zero ? rc : written(nbd, flags);
}

static int nbd_zero_range(struct block *block, uint64_t offset, uint64_t length, unsigned flags)
{
	struct nbd *nbd = nbd_of(block);
	int rc;

	if (!nbd->can_zero)
		return block_write_zero_buffers(block, offset, length, flags & BLOCK_FUA);
	rc = nbd_enter(nbd);
	if (rc)
		return rc;
	rc = erase(nbd, true, offset, length, flags);
	leave(nbd);
	return rc;
}

static int nbd_discard_range(struct block *block, uint64_t offset, uint64_t length)
{
	struct nbd *nbd = nbd_of(block);
	int rc = nbd_enter(nbd);

	if (rc)
		return rc;
	/* A hint: that a server does not like it harms nobody. */
	if (nbd->can_trim) {
		(void)erase(nbd, false, offset, length, 0);
		nbd->written++;
	}
	leave(nbd);
	return 0;
}

/* ---- What reads as zeroes ---- */

static int note_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries,
			size_t count, int *error)
{
	struct nbd_request *request = arg;

	(void)offset, (void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 || count < 2 || !entries[0])
		return 0;
	request->answered = true;
	request->length = entries[0];
	request->zero = entries[1] & LIBNBD_STATE_ZERO;
	return 0;
}

static int nbd_status(struct block *block, uint64_t offset, uint64_t *length,
		      enum block_status *status)
{
	struct nbd *nbd = nbd_of(block);
	struct nbd_request request = { .done = false };
	uint64_t unit = block->logical_block_size;
	nbd_extent_callback extents = { .callback = note_extents, .user_data = &request };
	int rc = nbd_enter(nbd);

	*status = BLOCK_STATUS_DATA;
	if (rc)
		return rc;
	if (nbd->can_status)
		rc = wait_for(nbd, &request,
			      nbd->library.aio_block_status(nbd->handle, MIN(*length, 1ull << 30),
							    offset, extents, callback(&request),
							    0));
	leave(nbd);
	/* Whoever cannot say it has data. */
	if (rc || !request.answered || request.length < unit)
		return 0;
	*length = MIN(*length, round_down(request.length, unit));
	if (request.zero)
		*status = BLOCK_STATUS_ZERO;
	return 0;
}

/* ---- Coming and going ---- */

static void nbd_free(struct nbd *nbd)
{
	if (nbd->handle) {
		if (!nbd_link_is_over(nbd))
			nbd->library.aio_disconnect(nbd->handle, 0);
		nbd_link_drop(nbd);
	}
	if (nbd->given >= 0)
		close(nbd->given);
	free(nbd->uri);
	free(nbd);
}

static void nbd_close_block(struct block *block)
{
	nbd_free(nbd_of(block));
}

static const struct block_ops nbd_ops = {
	.type = "nbd",
	.readv = nbd_readv,
	.writev = nbd_writev,
	.discard = nbd_discard_range,
	.write_zeroes = nbd_zero_range,
	.status = nbd_status,
	.flush = nbd_flush_all,
	.close = nbd_close_block,
};

uint32_t block_nbd_rest(const struct block *block)
{
	return block->ops == &nbd_ops ? container_of(block, const struct nbd, block)->rest : 0;
}

static int open_nbd(struct block **out, const char *name, int fd, bool writable,
		    struct error *error)
{
	struct nbd *nbd = calloc(1, sizeof(*nbd));
	int rc;

	if (!nbd || !(nbd->uri = strdup(name))) {
		if (fd >= 0)
			close(fd);
		free(nbd);
		return error_set(error, -ENOMEM, "%s: out of memory", name);
	}
	nbd->given = fd;
	nbd->no_uri = fd >= 0;
	nbd->writable = writable;
	fiber_mutex_init(&nbd->sending);
	fiber_mutex_init(&nbd->connecting);
	fiber_queue_init(&nbd->idle);
	block_init(&nbd->block, &nbd_ops, name);
	rc = nbd_library_load(&nbd->library, error);
	if (!rc)
		rc = nbd_link_connect(nbd, false, error);
	if (rc) {
		free(nbd->block.name);
		nbd_free(nbd);
		return rc;
	}
	*out = &nbd->block;
	return 0;
}

int block_open_nbd(struct block **out, const char *uri, bool writable, struct error *error)
{
	return open_nbd(out, uri, -1, writable, error);
}

int block_open_nbd_socket(struct block **out, const char *name, int fd, bool writable,
			  struct error *error)
{
	return open_nbd(out, name, fd, writable, error);
}
