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
#include <libnbd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "util/bytes.h"
#include "util/error.h"

#define RETRY_NS     1000000000ull
#define TRANSFER_MAX (4u << 20)

struct nbd {
	struct block block;
	struct nbd_handle *handle; /* NULL: away */
	struct fiber *reader;
	char *uri; /* or the name of what is at the other end of `given` */
	int given; /* a socket that is to be used, once; else -1 */
	bool no_uri;
	bool writable, lost, ended; /* ended: the reader has seen the end of the connection */
	uint64_t tried_ns;          /* when it was last connected, or that was tried */
	uint64_t written, flushed;  /* writes that were acknowledged; of these, flushed */
	uint32_t most;              /* bytes in a request */
	bool can_flush, can_fua, can_trim, can_zero, can_status;
	unsigned users; /* requests with this handle */
	struct fiber_mutex sending, connecting;
	struct fiber_queue idle;
};

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

bool block_is_nbd(const char *name)
{
	static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncmp(name, schemes[i], strlen(schemes[i])))
			return true;
	return false;
}

static int say(const struct nbd *nbd, const char *what, struct error *error)
{
	int rc = nbd_get_errno() ? -nbd_get_errno() : -EIO;
	const char *text = nbd_get_error();

	return error_set(error, rc, "%s: %s: %s", nbd->uri, what, text ? text : error_name(rc));
}

/* ---- The connection ---- */

static void notify(struct nbd_handle *handle, int events)
{
	unsigned direction = nbd_aio_get_direction(handle);

	if (direction & LIBNBD_AIO_DIRECTION_READ && events & (POLLIN | POLLHUP | POLLERR))
		nbd_aio_notify_read(handle);
	else if (direction & LIBNBD_AIO_DIRECTION_WRITE && events & (POLLOUT | POLLHUP | POLLERR))
		nbd_aio_notify_write(handle);
}

static short events_of(struct nbd_handle *handle)
{
	unsigned direction = nbd_aio_get_direction(handle);

	return (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
		       (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

static bool is_over(struct nbd_handle *handle)
{
	return nbd_aio_is_dead(handle) || nbd_aio_is_closed(handle);
}

static int read_answers(void *arg)
{
	struct nbd *nbd = arg;

	while (!is_over(nbd->handle)) {
		int events = fiber_poll(nbd_aio_get_fd(nbd->handle), POLLIN, FIBER_FOREVER);

		if (events < 0)
			break;
		notify(nbd->handle, events);
	}
	nbd->ended = true;
	return 0;
}

/* What ends it for all: the reader hears of it. */
static void hang_up(const struct nbd *nbd)
{
	int fd = nbd_aio_get_fd(nbd->handle);

	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

/* Nobody has a request with it. */
static void drop(struct nbd *nbd)
{
	if (nbd->reader) {
		fiber_cancel(nbd->reader);
		fiber_join(nbd->reader);
		nbd->reader = NULL;
	}
	nbd_close(nbd->handle);
	nbd->handle = NULL;
}

/* libnbd closes the socket, once it has taken it. */
static int begin(struct nbd *nbd, struct nbd_handle *handle)
{
	if (nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION))
		return -1;
	if (!nbd->no_uri)
		return nbd_aio_connect_uri(handle, nbd->uri);
	return nbd_aio_connect_socket(handle, steal_fd(&nbd->given));
}

static int handshake(struct nbd *nbd, struct nbd_handle *handle, struct error *error)
{
	uint64_t end = worker_now() + BLOCK_NBD_CONNECT_NS;

	if (begin(nbd, handle))
		return say(nbd, "connecting", error);
	while (nbd_aio_is_connecting(handle)) {
		uint64_t now = worker_now();
		int events =
			now < end ? fiber_poll(nbd_aio_get_fd(handle), events_of(handle), end - now)
				  : -ETIMEDOUT;

		if (events < 0)
			return error_set(error, events, "%s: connecting: %s", nbd->uri,
					 error_name(events));
		notify(handle, events);
	}
	return nbd_aio_is_ready(handle) ? 0 : say(nbd, "connecting", error);
}

/* ---- What it is ---- */

static int64_t size_or(struct nbd_handle *handle, int which, int64_t other)
{
	int64_t size = nbd_get_block_size(handle, which);

	return size > 0 ? size : other;
}

/* Believes nothing that a disk cannot have. */
static int take_shape(struct nbd *nbd, struct nbd_handle *handle, bool again, struct error *error)
{
	int64_t size = nbd_get_size(handle), least = size_or(handle, LIBNBD_SIZE_MINIMUM, 1);
	int64_t most = size_or(handle, LIBNBD_SIZE_MAXIMUM, 32 << 20);
	int64_t preferred = size_or(handle, LIBNBD_SIZE_PREFERRED, 4096);
	uint32_t unit = least <= 512 ? 512 : 4096;

	if (size < 0)
		return say(nbd, "its size", error);
	if (least > 4096 || !is_power_of_two((uint64_t)least) || most < 65536)
		return error_set(error, -EPROTO,
				 "%s: blocks of %lld to %lld bytes; expected at most 4096, and at "
				 "least 65536",
				 nbd->uri, (long long)least, (long long)most);
	if ((uint64_t)size < unit)
		return error_set(error, -EPROTO, "%s: it has %lld bytes, less than a block",
				 nbd->uri, (long long)size);
	if (again && round_down((uint64_t)size, unit) != nbd->block.size)
		return error_set(error, -EPROTO, "%s: it had %llu bytes, and now has %lld",
				 nbd->uri, (unsigned long long)nbd->block.size, (long long)size);
	if (nbd->writable && nbd_is_read_only(handle) != 0)
		return error_set(error, -EROFS, "%s: the server lets nobody write to it", nbd->uri);
	nbd->can_flush = nbd_can_flush(handle) == 1;
	nbd->can_fua = nbd_can_fua(handle) == 1;
	nbd->can_trim = nbd_can_trim(handle) == 1;
	nbd->can_zero = nbd_can_zero(handle) == 1;
	nbd->can_status = nbd_can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	nbd->most = (uint32_t)round_down(MIN((uint64_t)most, (uint64_t)TRANSFER_MAX), 4096);
	if (again)
		return 0;
	nbd->block.size = round_down((uint64_t)size, unit);
	nbd->block.logical_block_size = unit;
	nbd->block.physical_block_size = 4096;
	if (preferred >= 4096 && preferred <= 1 << 30)
		nbd->block.preferred_io_size = (uint32_t)preferred;
	nbd->block.discard_granularity = nbd->can_trim ? unit : 0;
	nbd->block.read_only = !nbd->writable;
	return 0;
}

static int connect_again(struct nbd *nbd, bool again, struct error *error)
{
	struct nbd_handle *handle = nbd_create();
	int rc;

	nbd->tried_ns = worker_now();
	if (!handle)
		return say(nbd, "libnbd", error);
	rc = handshake(nbd, handle, error);
	if (!rc)
		rc = take_shape(nbd, handle, again, error);
	if (rc) {
		nbd_close(handle);
		return rc;
	}
	nbd->handle = handle;
	nbd->ended = false;
	nbd->reader = fiber_spawn(read_answers, nbd);
	return 0;
}

/* ---- Requests ---- */

/* A connection to make a request by, which it keeps; -EIO where there is none. */
static int nbd_enter(struct nbd *nbd)
{
	int rc = 0;

	fiber_mutex_lock(&nbd->connecting);
	if (nbd->handle && (nbd->ended || is_over(nbd->handle))) {
		while (nbd->users)
			fiber_queue_wait_always(&nbd->idle);
		/* Now that all that it has answered is counted. */
		nbd->lost |= nbd->written != nbd->flushed;
		drop(nbd);
	}
	if (!nbd->handle && !nbd->lost && !nbd->no_uri && worker_now() - nbd->tried_ns >= RETRY_NS)
		rc = connect_again(nbd, true, NULL);
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

/* What does not go out at once. */
static void send_rest(struct nbd *nbd)
{
	fiber_mutex_lock(&nbd->sending);
	while (!is_over(nbd->handle) &&
	       nbd_aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_WRITE) {
		int events = fiber_poll(nbd_aio_get_fd(nbd->handle), POLLOUT, BLOCK_NBD_LIMIT_NS);

		if (events < 0) {
			hang_up(nbd);
			break;
		}
		if (nbd_aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_WRITE)
			nbd_aio_notify_write(nbd->handle);
	}
	fiber_mutex_unlock(&nbd->sending);
}

/* Of a request that libnbd has taken (`cookie`), until it ends: 0 or -EIO. */
static int wait_for(struct nbd *nbd, struct nbd_request *request, int64_t cookie)
{
	uint64_t end = worker_now() + BLOCK_NBD_LIMIT_NS;

	if (cookie < 0)
		return -EIO;
	send_rest(nbd);
	while (!request->done) {
		uint64_t now = worker_now();
		int rc = now < end ? fiber_queue_wait(&request->waiter, end - now) : -ETIMEDOUT;

		if (rc < 0) {
			hang_up(nbd);
			break;
		}
	}
	/* libnbd has the request, and its memory, until it says so. */
	while (!request->done) {
		if (is_over(nbd->handle))
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
	int64_t cookie =
		write ? nbd_aio_pwrite(nbd->handle, at, length, offset, callback(&request), flags)
		      : nbd_aio_pread(nbd->handle, at, length, offset, callback(&request), 0);

	return wait_for(nbd, &request, cookie);
}

static int flush_entered(struct nbd *nbd)
{
	struct nbd_request request = { .done = false };
	uint64_t written = nbd->written;
	int rc = 0;

	if (nbd->can_flush)
		rc = wait_for(nbd, &request, nbd_aio_flush(nbd->handle, callback(&request), 0));
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
		int64_t cookie =
			zero ? nbd_aio_zero(nbd->handle, step, offset, callback(&request), hint)
			     : nbd_aio_trim(nbd->handle, step, offset, callback(&request), 0);

		rc = wait_for(nbd, &request, cookie);
		offset += step;
		length -= step;
	}
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
			      nbd_aio_block_status(nbd->handle, MIN(*length, 1ull << 30), offset,
						   extents, callback(&request), 0));
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
		if (!is_over(nbd->handle))
			nbd_aio_disconnect(nbd->handle, 0);
		drop(nbd);
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
	rc = connect_again(nbd, false, error);
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
