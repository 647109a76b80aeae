/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who comes to the sockets of vhost-user-blk servers.
 *
 * Listeners of a worker are in one epoll set, which one fiber waits for: a fiber for each would cost two mappings,
 * of which a process may have 65,530. One at which somebody has come is disarmed, and gets a fiber that takes them
 * in, one after another, and arms it again:
 *
 *	armed --somebody comes--> arriving, with a fiber --nobody is left--> armed
 *
 * Its server's end takes it out of the set, cancels that fiber, and waits for it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/error.h"
#include "util/log.h"
#include "util/peer_file.h"
#include "util/process.h"
#include "virtio/vhost_user_blk_private.h"

#define SECOND        1000000000ULL
#define LEAVE_TIMEOUT SECOND /* for a client to make room for the next */
#define KEPT_STEP     (SECOND / 20)
#define ACCEPT_RETRY  (SECOND / 10)
#define LAST_TIMEOUT  (10 * SECOND) /* for the last requests of one that has left */
#define LAST_STEP     (SECOND / 100)
#define EVENTS        64
#define READERS_MOST                                                                               \
	256u /* clients of a read-only device: each has fibers, files and memory here */

struct vhost_user_blk_acceptor {
	int epoll_fd;
	struct fiber *fiber;
	bool own;            /* of one server, with which it ends */
	struct list servers; /* struct vhost_user_blk_server */
};

/* ---- Arriving ---- */

static bool has_room(const struct vhost_user_blk_server *server)
{
	return server->client_count <
	       (server->block->read_only || server->shared ? READERS_MOST : 1);
}

/* Whether another client may come in now; waits a little for one to leave. */
static bool make_room(struct vhost_user_blk_server *server)
{
	int rc = 0;

	while (!rc && !has_room(server))
		rc = fiber_queue_wait(&server->client_left, LEAVE_TIMEOUT);
	/* It may have left in the very moment in which it was waited for no longer. */
	return rc != -ECANCELED && has_room(server);
}

/* Whether it is kept for another process than the one that has come; waits a little for that to let go of it. */
static bool is_kept(const struct vhost_user_blk_server *server, int fd, pid_t *process)
{
	for (uint64_t waited = 0;; waited += KEPT_STEP) {
		if (!server->kept || server->block->read_only || server->shared ||
		    !server->kept(server->kept_arg, process) || *process == unix_socket_peer(fd))
			return false;
		if (waited == LEAVE_TIMEOUT || fiber_sleep(KEPT_STEP))
			return true;
	}
}

static void turn_away_kept(const struct vhost_user_blk_server *server, int fd, pid_t process)
{
	char who[PROCESS_TEXT] = "a client", whose[PROCESS_TEXT] = "another process";
	pid_t peer = unix_socket_peer(fd);

	if (peer)
		process_describe(peer, who);
	if (process)
		process_describe(process, whose);
	peer_socket_close(fd);
	log_warning(server->log,
		    "%s: %s was turned away: the device is kept for %s, which had it before and is "
		    "to come back",
		    server->name, who, whose);
}

/* The protocol has no way to say why: the log does, and whoever asks the server. */
static void turn_away(const struct vhost_user_blk_server *server, int fd)
{
	const struct vhost_user_blk_client *present =
		list_entry(server->clients.next, struct vhost_user_blk_client, node);
	char who[PROCESS_TEXT] = "a second client", whose[PROCESS_TEXT] = "another";
	pid_t peer = unix_socket_peer(fd);

	if (peer)
		process_describe(peer, who);
	if (present->peer)
		process_describe(present->peer, whose);
	peer_socket_close(fd);
	if (server->block->read_only || server->shared)
		log_warning(server->log, "%s: %s was turned away: %u clients have the device",
			    server->name, who, server->client_count);
	else
		log_warning(server->log,
			    "%s: %s was turned away: the device is writable, and %s has it",
			    server->name, who, whose);
}

/* ---- Who has left ---- */

static const struct vhost_user_blk_client *find_leaving(const struct vhost_user_blk_server *server)
{
	list_for_each(at, &server->clients) {
		const struct vhost_user_blk_client *client =
			list_entry(at, struct vhost_user_blk_client, node);
		struct pollfd entry = { .fd = vhost_user_backend_fd(client->backend),
					.events = POLLRDHUP };

		if (client->leaving || poll(&entry, 1, 0) == 1)
			return client;
	}
	return NULL;
}

/* Of the same disk, also at another socket. */
static const struct vhost_user_blk_client *find_leaving_disk(
	const struct vhost_user_blk_server *server)
{
	const struct vhost_user_blk_client *found = NULL;

	list_for_each(at, &server->acceptor->servers) {
		const struct vhost_user_blk_server *other =
			list_entry(at, struct vhost_user_blk_server, accepted);

		if (!found && other->block == server->block)
			found = find_leaving(other);
	}
	return found;
}

/*
 * Who gave us up (we were stopped) takes its last writes for failed, and comes back to write something else, or another comes in its place: these
 * writes must not be carried out after theirs. So whoever comes waits for the end of all requests of those who have left. False: they do not end.
 */
static bool await_last(const struct vhost_user_blk_server *server)
{
	for (uint64_t waited = 0; waited < LAST_TIMEOUT; waited += LAST_STEP)
		if (server->block->read_only || !find_leaving_disk(server))
			return true;
		else if (fiber_sleep(LAST_STEP))
			break;
	return false;
}

static void turn_away_early(const struct vhost_user_blk_server *server, int fd)
{
	const struct vhost_user_blk_client *last = find_leaving_disk(server);
	char whose[PROCESS_TEXT] = "a client";

	if (last && last->peer)
		process_describe(last->peer, whose);
	peer_socket_close(fd);
	log_warning(server->log,
		    "%s: a client was turned away: requests of %s, which has left, have not ended",
		    server->name, whose);
}

static void take_in(struct vhost_user_blk_server *server, int fd)
{
	struct error error;
	/* Who has left leaves room only then. */
	bool ended = await_last(server);
	bool room = ended && make_room(server);
	pid_t process;

	if (server->stopping)
		peer_socket_close(fd);
	else if (!ended)
		turn_away_early(server, fd);
	else if (!room)
		turn_away(server, fd);
	else if (is_kept(server, fd, &process))
		turn_away_kept(server, fd, process);
	else if (!await_last(server)) /* others may have left meanwhile */
		turn_away_early(server, fd);
	else if (blk_server_add_client(server, fd, &error) < 0)
		log_warning(server->log, "%s", error.text);
}

static int arm(struct vhost_user_blk_server *server, int operation)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = server };

	return epoll_ctl(server->acceptor->epoll_fd, operation, server->listener.fd, &event)
		       ? -errno
		       : 0;
}

static int arrive(void *arg)
{
	struct vhost_user_blk_server *server = arg;

	server->arrival = fiber_current();
	while (!server->stopping) {
		int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take_in(server, fd);
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			log_warning(server->log, "%s: accept: %s", server->name, error_name(errno));
			fiber_sleep(ACCEPT_RETRY);
		}
	}
	server->arriving = false;
	server->arrival = NULL;
	if (!server->stopping)
		(void)arm(server, EPOLL_CTL_MOD);
	else
		fiber_queue_wake_all(&server->client_left);
	return 0;
}

/* ---- Acceptors ---- */

static int accept_all(void *arg)
{
	struct vhost_user_blk_acceptor *acceptor = arg;
	struct epoll_event events[EVENTS];

	while (fiber_poll(acceptor->epoll_fd, POLLIN, FIBER_FOREVER) > 0) {
		int count = epoll_wait(acceptor->epoll_fd, events, EVENTS, 0);

		for (int i = 0; i < count; i++) {
			struct vhost_user_blk_server *server = events[i].data.ptr;

			server->arriving = true;
			fiber_start(arrive, server);
		}
	}
	return 0;
}

int vhost_user_blk_acceptor_start(struct vhost_user_blk_acceptor **out, struct error *error)
{
	struct vhost_user_blk_acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (!acceptor)
		return error_set(error, -ENOMEM, "accepting clients: out of memory");
	acceptor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (acceptor->epoll_fd < 0) {
		free(acceptor);
		return error_set(error, -errno, "accepting clients: epoll: %s", error_name(errno));
	}
	list_init(&acceptor->servers);
	acceptor->fiber = fiber_spawn(accept_all, acceptor);
	*out = acceptor;
	return 0;
}

void vhost_user_blk_acceptor_stop(struct vhost_user_blk_acceptor *acceptor)
{
	if (!acceptor)
		return;
	fiber_cancel(acceptor->fiber);
	fiber_join(acceptor->fiber);
	close(acceptor->epoll_fd);
	free(acceptor);
}

int blk_server_listen(struct vhost_user_blk_server *server,
		      struct vhost_user_blk_acceptor *acceptor, struct error *error)
{
	int rc = 0;

	if (!acceptor) {
		rc = vhost_user_blk_acceptor_start(&acceptor, error);
		if (rc < 0)
			return rc;
		acceptor->own = true;
	}
	server->acceptor = acceptor;
	rc = arm(server, EPOLL_CTL_ADD);
	if (!rc) {
		list_add_tail(&acceptor->servers, &server->accepted);
		return 0;
	}
	server->acceptor = NULL;
	if (acceptor->own)
		vhost_user_blk_acceptor_stop(acceptor);
	error_set(error, rc, "%s: accepting clients: epoll: %s", server->name, error_name(rc));
	if (rc == -ENOSPC)
		error_advise(error, "raise the sysctl fs.epoll.max_user_watches");
	return rc;
}

void blk_server_stop_listening(struct vhost_user_blk_server *server)
{
	if (!server->acceptor)
		return;
	epoll_ctl(server->acceptor->epoll_fd, EPOLL_CTL_DEL, server->listener.fd, NULL);
	list_remove(&server->accepted);
	if (server->arrival)
		fiber_cancel(server->arrival);
	while (server->arriving)
		fiber_queue_wait_always(&server->client_left);
	if (server->acceptor->own)
		vhost_user_blk_acceptor_stop(server->acceptor);
	server->acceptor = NULL;
}
