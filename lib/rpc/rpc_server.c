/* SPDX-License-Identifier: BSD-2-Clause */
/* The server half of rpc.h: one fiber accepts, each connection has one of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "rpc/rpc_line.h"
#include "util/unix_socket.h"
#include "util/cleanup.h"
#include "util/list.h"
#include "util/log.h"

#define RPC_ACCEPT_RETRY_NS (100 * 1000 * 1000ull)

struct rpc_server {
	const struct rpc_method *methods;
	void *context;
	struct log *log;
	struct unix_listener listener;
	struct fiber *acceptor;
	struct list connections;
	unsigned connection_count;
	bool held;
	struct fiber_queue released;
};

static const struct rpc_patience rpc_server_patience = { RPC_IDLE_NS, RPC_PEER_NS, 0 };

struct rpc_connection {
	struct rpc_server *server;
	struct list node;
	struct fiber *fiber; /* joined by the acceptor's next round or by the stop */
	bool ended;
	int fd;
};

/* 0, or -ECANCELED where the server ends first. */
static int wait_for_release(struct rpc_server *server)
{
	int rc = 0;

	while (!rc && server->held)
		rc = fiber_queue_wait(&server->released, FIBER_FOREVER);
	return rc < 0 ? rc : 0;
}

static int rpc_connection_run(void *arg)
{
	struct rpc_connection *connection = arg;
	struct rpc_server *server = connection->server;
	struct rpc_reader reader = { .fd = connection->fd, .patience = &rpc_server_patience };
	size_t length;
	char *line;
	int rc;

	while ((rc = rpc_read_line(&reader, &line, &length)) > 0) {
		CLEANUP_FREE char *answer = NULL;

		rc = wait_for_release(server);
		if (rc)
			break;
		answer = rpc_handle_line(server->methods, server->context, line, length);
		rc = answer ? rpc_write_line(connection->fd, answer, &rpc_server_patience) : 0;
		if (rc)
			break;
	}
	if (rc == -ETIMEDOUT)
		log_info(server->log,
			 "%s: closed a client that sent half a line, read no answer or said "
			 "nothing for too long",
			 server->listener.path);
	if (rc == -EMSGSIZE)
		log_warning(server->log, "%s: closed a client that sent a line over %u bytes",
			    server->listener.path, RPC_MESSAGE_MAX);
	rpc_reader_free(&reader);
	close(connection->fd);
	connection->ended = true;
	return 0;
}

static void rpc_connection_join(struct rpc_connection *connection)
{
	fiber_join(connection->fiber);
	connection->server->connection_count--;
	list_remove(&connection->node);
	free(connection);
}

static void rpc_server_reap(struct rpc_server *server)
{
	list_for_each_safe(at, &server->connections) {
		struct rpc_connection *connection = list_entry(at, struct rpc_connection, node);

		if (connection->ended)
			rpc_connection_join(connection);
	}
}

static int rpc_server_accept(void *arg)
{
	struct rpc_server *server = arg;

	for (;;) {
		int fd = fiber_accept(server->listener.fd);
		struct rpc_connection *connection;

		if (fd == -ECANCELED)
			return 0;
		rpc_server_reap(server);
		if (fd >= 0 && server->connection_count == RPC_CONNECTIONS) {
			log_warning(server->log, "%s: turned a client away: there are %u",
				    server->listener.path, RPC_CONNECTIONS);
			close(fd);
			continue;
		}
		connection = fd >= 0 ? calloc(1, sizeof(*connection)) : NULL;
		if (!connection) {
			/* Out of descriptors or memory: others must give some back first. */
			if (fd >= 0)
				close(fd);
			if (fiber_sleep(RPC_ACCEPT_RETRY_NS))
				return 0;
			continue;
		}
		connection->server = server;
		connection->fd = fd;
		list_add_tail(&server->connections, &connection->node);
		server->connection_count++;
		connection->fiber = fiber_spawn(rpc_connection_run, connection);
	}
}

int rpc_server_start(struct rpc_server **out, const char *path, const struct rpc_method *methods,
		     void *context, struct log *log, struct error *error)
{
	struct rpc_server *server = calloc(1, sizeof(*server));
	int rc = server ? unix_listen(&server->listener, path, error) : -ENOMEM;

	if (rc) {
		free(server);
		return rc;
	}
	server->methods = methods;
	server->context = context;
	server->log = log;
	list_init(&server->connections);
	fiber_queue_init(&server->released);
	server->acceptor = fiber_spawn(rpc_server_accept, server);
	*out = server;
	return 0;
}

void rpc_server_hold(struct rpc_server *server)
{
	server->held = true;
}

void rpc_server_release(struct rpc_server *server)
{
	server->held = false;
	fiber_queue_wake_all(&server->released);
}

void rpc_server_stop(struct rpc_server *server)
{
	if (!server)
		return;
	fiber_cancel(server->acceptor);
	fiber_join(server->acceptor);
	unix_listener_close(&server->listener);
	list_for_each(at, &server->connections)
		fiber_cancel(list_entry(at, struct rpc_connection, node)->fiber);
	while (!list_empty(&server->connections))
		rpc_connection_join(
			list_entry(server->connections.next, struct rpc_connection, node));
	free(server);
}
