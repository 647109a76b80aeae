/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases that a storage server gives: see lease_socket.h. On the control worker; the leases are at the homes of their disks. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/block.h"
#include "block/lease.h"
#include "fiber/acceptor.h"
#include "tools/lease_socket.h"
#include "tools/runtime.h"
#include "tools/serve.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/peer_file.h"
#include "util/unix_socket.h"

#define TRY_NS       10000000 /* for room for files on their way */
#define TRIES        500
#define CLIENTS_MOST 256u
#define PATIENCE_NS  (5 * 1000000000ull)

struct serve_leases {
	struct serve *serve;
	struct unix_listener listener;
	struct acceptor acceptor; /* those that are turned away go on by the server */
};

struct lease_client {
	struct accepted accepted;

	/* Once it has one; at home. */
	const struct serve_home *home;
	struct block *block;
	struct block_lease *lease;
	bool gone;
};

static struct serve *serve_of(const struct lease_client *client)
{
	return container_of(client->accepted.acceptor, struct serve_leases, acceptor)->serve;
}

/* ---- What is asked ---- */

/* 0, or a negative errno. */
static int read_request(int fd, struct lease_request *request)
{
	uint64_t until = worker_now() + PATIENCE_NS;
	size_t had = 0;

	while (had < sizeof(*request)) {
		int rc = fiber_poll_until(fd, POLLIN, until);
		ssize_t got = rc < 0 ? rc
				     : peer_receive_bytes(fd, (char *)request + had,
							  sizeof(*request) - had);

		if (!got)
			return -EPIPE;
		if (got < 0 && got != -EAGAIN && got != -EINTR)
			return (int)got;
		had += got > 0 ? (size_t)got : 0;
	}
	request->name[sizeof(request->name) - 1] = '\0';
	request->id[sizeof(request->id) - 1] = '\0';
	return 0;
}

/* At home. */
static int give(void *arg)
{
	struct lease_client *client = arg;

	return block_lease_give(&client->lease, client->block, client->accepted.fd,
				unix_socket_peer(client->accepted.fd));
}

static int end_at_home(void *arg)
{
	struct lease_client *client = arg;

	block_lease_end(client->lease, client->gone);
	return 0;
}

struct lease_stop {
	struct block *block;
	struct error *error;
};

static int stop_at_home(void *arg)
{
	const struct lease_stop *stop = arg;
	CLEANUP_BLOCK struct block *block = block_ref(stop->block);

	return block_leases_stop(block, stop->error);
}

int serve_leases_stop(const struct export *export, struct error *error)
{
	return export->block ? serve_call(export->home, stop_at_home,
					  &(struct lease_stop){ export->block, error })
			     : 0;
}

/* With `changing`, so that the export stays. */
static int find_and_give(struct lease_client *client, const struct lease_request *request)
{
	const struct export *export = export_find(serve_of(client), request->name);

	if (!export || !export->server || strcmp(export->id, request->id) != 0)
		return -ENOENT;
	client->home = export->home;
	client->block = export->block;
	return serve_call(client->home, give, client);
}

static int answer(const struct lease_client *client, int rc)
{
	struct lease_answer said = { .rc = rc };
	struct iovec iov = { .iov_base = &said, .iov_len = sizeof(said) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(LEASE_FDS * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[LEASE_FDS];
	unsigned count = client->lease ? block_lease_take_fds(client->lease, fds) : 0;
	unsigned tries = TRIES;

	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(*fds));
		control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS,
						   .cmsg_len = CMSG_LEN(count * sizeof(*fds)) };
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(*fds));
	}
	/* The files of all of this user's processes that are on their way count. */
	do
		rc = sendmsg(client->accepted.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0
			     ? -errno
			     : 0;
	while (rc == -ETOOMANYREFS && tries-- && !fiber_sleep(TRY_NS));
	while (count)
		close(fds[--count]);
	return rc;
}

/* ---- Clients ---- */

static void client_run(struct accepted *accepted)
{
	struct lease_client *client = container_of(accepted, struct lease_client, accepted);
	struct serve *serve = serve_of(client);
	struct lease_request request;
	int rc = read_request(accepted->fd, &request);

	if (!rc) {
		fiber_mutex_lock(&serve->changing);
		rc = find_and_give(client, &request);
		fiber_mutex_unlock(&serve->changing);
		rc = answer(client, rc);
	}
	/* It says nothing more, and what it says all the same is not looked at: what comes is its end, or ours. */
	if (client->lease) {
		client->gone = rc || fiber_poll(accepted->fd, POLLRDHUP, FIBER_FOREVER) > 0;
		client->gone = client->gone && !fiber_cancelled();
		serve_call(client->home, end_at_home, client);
	}
}

/* ---- The server's beginning and end ---- */

void serve_leases_start(struct serve *serve)
{
	struct serve_leases *leases = calloc(1, sizeof(*leases));
	CLEANUP_FREE char *path = NULL;
	struct error error = { 0 };
	char name[48];
	int rc = leases ? 0 : error_set(&error, -ENOMEM, "out of memory");

	snprintf(name, sizeof(name), "disk-%d-lease", (int)getpid());
	if (!rc)
		rc = runtime_socket(name, &path, &error);
	if (!rc)
		rc = unix_listen(&leases->listener, path, &error);
	if (rc) {
		log_warning(&serve->log, "processes of this host go by the server for all: %s",
			    error.text);
		free(leases);
		return;
	}
	leases->serve = serve;
	leases->acceptor = (struct acceptor){ .fd = leases->listener.fd,
					      .most = CLIENTS_MOST,
					      .size = sizeof(struct lease_client),
					      .run = client_run };
	acceptor_begin(&leases->acceptor);
	serve->leases = leases;
}

const char *serve_leases_path(const struct serve *serve)
{
	return serve->leases ? serve->leases->listener.path : NULL;
}

void serve_leases_end(struct serve *serve)
{
	struct serve_leases *leases = steal_pointer(&serve->leases);

	if (!leases)
		return;
	acceptor_close(&leases->acceptor);
	unix_listener_close(&leases->listener);
	acceptor_end(&leases->acceptor);
	free(leases);
}
