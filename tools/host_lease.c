/* SPDX-License-Identifier: BSD-2-Clause */
/* See host_lease.h. */
#include "tools/host_lease.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "tools/lease_socket.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"

#define ASK_NS   (5 * 1000000000ull)
#define PAUSE_NS 20000ull

/* ---- On any thread ---- */

int host_lease_transfer(struct host_lease *lease, bool write, uint64_t offset, void *at,
			uint64_t length)
{
	struct lease_use *use;
	int rc = -EAGAIN;

	/* Who changes one of these looks at us after that, we look at them after this. */
	atomic_fetch_add(&lease->inside, 1);
	if (write)
		atomic_fetch_add(&lease->writing, 1);
	use = atomic_load(&lease->use);
	if (use && (!write || !atomic_load(&lease->held_up)))
		rc = lease_use_transfer(use, write, offset, at, length);
	if (write)
		atomic_fetch_sub(&lease->writing, 1);
	atomic_fetch_sub(&lease->inside, 1);
	return rc;
}

/* Until nobody is there any more, who came before nobody was to come. */
static void wait_until_none(atomic_uint *count)
{
	while (atomic_load(count))
		fiber_sleep_always(PAUSE_NS);
}

void host_lease_hold_up(struct host_lease *lease)
{
	atomic_fetch_add(&lease->held_up, 1);
	wait_until_none(&lease->writing);
}

void host_lease_go_on(struct host_lease *lease)
{
	atomic_fetch_sub(&lease->held_up, 1);
}

/* ---- Asking for one ---- */

static int wait_within(void *arg)
{
	const uint64_t *until = arg;

	return worker_now() < *until ? fiber_sleep(1000000) : -ETIMEDOUT;
}

/* The descriptors of the answer in `fds`: how many, or a negative errno. */
static int take_answer(int fd, int fds[LEASE_FDS], uint64_t until)
{
	struct lease_answer said = { .rc = -EPROTO };
	unsigned count = LEASE_FDS, kept;
	int rc = fiber_poll_until(fd, POLLIN, until);
	ssize_t got;

	if (rc < 0)
		return rc;
	got = peer_receive(fd, &said, sizeof(said), MSG_DONTWAIT, fds, &count);
	if (got == sizeof(said) && !said.rc && count && count <= LEASE_FDS)
		return (int)count;
	kept = MIN(count, LEASE_FDS);
	while (kept)
		peer_file_close(fds[--kept]);
	return got < 0 ? (int)got : said.rc < 0 ? said.rc : -EPROTO;
}

static int ask(const struct host_lease *lease, int *connection, struct lease_use **use)
{
	struct lease_request request = { .name = "" };
	uint64_t until = worker_now() + ASK_NS;
	CLEANUP_CLOSE int fd = -1;
	struct error error;
	int fds[LEASE_FDS], rc;

	if ((size_t)snprintf(request.name, sizeof(request.name), "%s", lease->name) >=
		    sizeof(request.name) ||
	    (size_t)snprintf(request.id, sizeof(request.id), "%s", lease->id) >= sizeof(request.id))
		return -ENAMETOOLONG;
	fd = unix_socket_connect_with(lease->path, wait_within, &until, &error);
	if (fd < 0)
		return fd;
	rc = fiber_write(fd, &request, sizeof(request));
	if (!rc)
		rc = take_answer(fd, fds, until);
	if (rc > 0)
		rc = lease_use_open(use, fds, (unsigned)rc);
	if (!rc)
		*connection = steal_fd(&fd);
	return rc;
}

/* Has it for as long as the server says. */
static int keep(void *arg)
{
	struct host_lease *lease = arg;
	struct lease_use *use = NULL;
	int connection = -1;

	if (!ask(lease, &connection, &use)) {
		if (!fiber_cancelled())
			atomic_store(&lease->use, use);
		fiber_poll(connection, POLLIN | POLLRDHUP, FIBER_FOREVER);
		atomic_store(&lease->use, NULL);
		wait_until_none(&lease->inside);
		lease_use_close(use);
		/* The last: it says that nobody writes any more. */
		close(connection);
	}
	lease->asked_ns = worker_now();
	lease->ended = true;
	return 0;
}

static void join(struct host_lease *lease)
{
	if (lease->fiber)
		fiber_join(lease->fiber);
	lease->fiber = NULL;
	lease->ended = false;
}

void host_lease_want(struct host_lease *lease)
{
	if (!lease->wanted || !lease->path || (lease->fiber && !lease->ended) ||
	    (lease->asked_ns && worker_now() - lease->asked_ns < HOST_LEASE_RETRY_NS))
		return;
	join(lease);
	lease->fiber = fiber_spawn(keep, lease);
}

static void give_up(struct host_lease *lease)
{
	if (lease->fiber)
		fiber_cancel(lease->fiber);
	join(lease);
}

void host_lease_let_go(struct host_lease *lease)
{
	if (lease->fiber && !lease->ended)
		fiber_cancel(lease->fiber);
	atomic_store(&lease->use, NULL);
	/* Another one begins after all have left this one. */
	while (atomic_load(&lease->inside) && !atomic_load(&lease->use))
		fiber_sleep_always(PAUSE_NS);
}

void host_lease_set_path(struct host_lease *lease, char *path)
{
	give_up(lease);
	free(lease->path);
	lease->path = path;
	lease->asked_ns = 0;
}

void host_lease_end(struct host_lease *lease)
{
	give_up(lease);
	free(lease->path);
	lease->path = NULL;
}
