/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection of an NBD disk: its handshake, what the server says that the disk is, its end; see nbd_link.h. */
#include "block/nbd_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "block/nbd_uri.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"

#define TRANSFER_MAX (4u << 20)
#define MOST_LATE    64u /* looks after the time of a handshake */

static int say(const struct nbd *nbd, const char *what, struct error *error)
{
	int rc = nbd->library.get_errno() ? -nbd->library.get_errno() : -EIO;
	const char *text = nbd->library.get_error();

	return error_set(error, rc, "%s: %s: %s", nbd->uri, what, text ? text : error_name(rc));
}

/* ---- The connection ---- */

static void notify(const struct nbd *nbd, struct nbd_handle *handle, int events)
{
	unsigned direction = nbd->library.aio_get_direction(handle);

	if (direction & LIBNBD_AIO_DIRECTION_READ && events & (POLLIN | POLLHUP | POLLERR))
		nbd->library.aio_notify_read(handle);
	else if (direction & LIBNBD_AIO_DIRECTION_WRITE && events & (POLLOUT | POLLHUP | POLLERR))
		nbd->library.aio_notify_write(handle);
}

static short events_of(const struct nbd *nbd, struct nbd_handle *handle)
{
	unsigned direction = nbd->library.aio_get_direction(handle);

	return (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
		       (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

bool nbd_link_is_over(const struct nbd *nbd)
{
	return nbd->library.aio_is_dead(nbd->handle) || nbd->library.aio_is_closed(nbd->handle);
}

static int read_answers(void *arg)
{
	struct nbd *nbd = arg;

	while (!nbd_link_is_over(nbd)) {
		int events =
			fiber_poll(nbd->library.aio_get_fd(nbd->handle), POLLIN, FIBER_FOREVER);

		if (events < 0)
			break;
		notify(nbd, nbd->handle, events);
	}
	nbd->ended = true;
	return 0;
}

void nbd_link_hang_up(const struct nbd *nbd)
{
	int fd = nbd->library.aio_get_fd(nbd->handle);

	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

void nbd_link_drop(struct nbd *nbd)
{
	if (nbd->reader) {
		fiber_cancel(nbd->reader);
		fiber_join(nbd->reader);
		nbd->reader = NULL;
	}
	nbd->library.close(nbd->handle);
	nbd->handle = NULL;
}

/* By `uri`, or by the socket that was given, which libnbd closes. */
static int begin(struct nbd *nbd, struct nbd_handle *handle, const char *uri)
{
	if (nbd->library.add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION))
		return -1;
	if (uri)
		return nbd->library.aio_connect_uri(handle, uri);
	return nbd->library.aio_connect_socket(handle, steal_fd(&nbd->given));
}

static int handshake(struct nbd *nbd, struct nbd_handle *handle, const char *uri,
		     struct error *error)
{
	uint64_t end = worker_now() + BLOCK_NBD_CONNECT_NS;
	unsigned late = 0;

	if (begin(nbd, handle, uri))
		return say(nbd, "connecting", error);
	while (nbd->library.aio_is_connecting(handle)) {
		int events = late > MOST_LATE ? -ETIMEDOUT
					      : fiber_poll_until(nbd->library.aio_get_fd(handle),
								 events_of(nbd, handle), end);

		/* What came in time is read, however late; but nobody draws it out. */
		late += worker_now() >= end;
		if (events < 0)
			return error_set(error, events, "%s: connecting: %s", nbd->uri,
					 error_name(events));
		notify(nbd, handle, events);
	}
	return nbd->library.aio_is_ready(handle) ? 0 : say(nbd, "connecting", error);
}

/* ---- What it is ---- */

static int64_t size_or(const struct nbd *nbd, struct nbd_handle *handle, int which, int64_t other)
{
	int64_t size = nbd->library.get_block_size(handle, which);

	return size > 0 ? size : other;
}

/* Believes nothing that a disk cannot have. */
static int take_shape(struct nbd *nbd, struct nbd_handle *handle, bool again, struct error *error)
{
	int64_t size = nbd->library.get_size(handle),
		least = size_or(nbd, handle, LIBNBD_SIZE_MINIMUM, 1);
	int64_t most = size_or(nbd, handle, LIBNBD_SIZE_MAXIMUM, 32 << 20);
	int64_t preferred = size_or(nbd, handle, LIBNBD_SIZE_PREFERRED, 4096);
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
	if (nbd->writable && nbd->library.is_read_only(handle) != 0)
		return error_set(error, -EROFS, "%s: the server lets nobody write to it", nbd->uri);
	nbd->can_flush = nbd->library.can_flush(handle) == 1;
	nbd->can_fua = nbd->library.can_fua(handle) == 1;
	nbd->can_trim = nbd->library.can_trim(handle) == 1;
	nbd->can_zero = nbd->library.can_zero(handle) == 1;
	nbd->can_status =
		nbd->library.can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	nbd->most = (uint32_t)round_down(MIN((uint64_t)most, (uint64_t)TRANSFER_MAX), 4096);
	if (again)
		return 0;
	nbd->block.size = round_down((uint64_t)size, unit);
	nbd->rest = (uint32_t)((uint64_t)size - nbd->block.size);
	nbd->block.logical_block_size = unit;
	nbd->block.physical_block_size = 4096;
	if (preferred >= 4096 && preferred <= 1 << 30)
		nbd->block.preferred_io_size = (uint32_t)preferred;
	nbd->block.discard_granularity = nbd->can_trim ? unit : 0;
	nbd->block.read_only = !nbd->writable;
	return 0;
}

static int connect_by(struct nbd *nbd, const char *uri, bool again, struct error *error)
{
	struct nbd_handle *handle = nbd->library.create();
	int rc;

	if (!handle)
		return say(nbd, "libnbd", error);
	rc = handshake(nbd, handle, uri, error);
	if (!rc)
		rc = take_shape(nbd, handle, again, error);
	if (rc) {
		nbd->library.close(handle);
		return rc;
	}
	nbd->handle = handle;
	nbd->ended = nbd->given_up = false;
	nbd->reader = fiber_spawn(read_answers, nbd);
	return 0;
}

/* libnbd would ask for the addresses on this thread. With TLS it needs the name, for the certificate, and asks once more: by then the
 * answer is near. */
static int connect_to_host(struct nbd *nbd, const struct nbd_uri *uri, bool again,
			   struct error *error)
{
	char addresses[NBD_URI_ADDRESSES][NBD_URI_TEXT];
	int count = nbd_uri_resolve(nbd->uri, uri, addresses, error), rc = -EHOSTUNREACH;

	if (count < 0)
		return count;
	if (uri->has_tls)
		return connect_by(nbd, nbd->uri, again, error);
	for (int i = 0; rc && i < count; i++) {
		CLEANUP_FREE char *numeric = nbd_uri_with_address(nbd->uri, uri, addresses[i]);

		if (!numeric)
			return error_set(error, -ENOMEM, "%s: out of memory", nbd->uri);
		rc = connect_by(nbd, numeric, again, error);
		if (rc == -ECANCELED)
			break;
	}
	return rc;
}

int nbd_link_connect(struct nbd *nbd, bool again, struct error *error)
{
	struct nbd_uri uri;

	nbd->tried_ns = worker_now();
	if (nbd->no_uri)
		return connect_by(nbd, NULL, again, error);
	if (!nbd_uri_parse(nbd->uri, &uri) || uri.is_address)
		return connect_by(nbd, nbd->uri, again, error);
	return connect_to_host(nbd, &uri, again, error);
}
