/* SPDX-License-Identifier: BSD-2-Clause */
/* The server half of rpc.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/acceptor.h"
#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "rpc/rpc_http.h"
#include "rpc/rpc_line.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/unix_socket.h"
#include "util/cleanup.h"
#include "util/log.h"

struct rpc_server {
	const struct rpc_method *methods;
	const struct rpc_page *pages;
	void *context;
	struct log *log;
	struct unix_listener listener;
	char *path; /* those who are refused after the listener is closed are told */
	struct acceptor acceptor;
	bool held, ending;
	unsigned running; /* methods, until their answers are written */
	struct fiber_queue released, idle;
};

static const struct rpc_patience rpc_server_patience = { RPC_IDLE_NS, RPC_PEER_NS, 0, 0 };

struct rpc_connection {
	struct accepted accepted;
	bool running; /* a method */
};

static struct rpc_server *server_of(const struct accepted *client)
{
	return container_of(client->acceptor, struct rpc_server, acceptor);
}

/* 0, or the errno that a request is to be refused with. */
static int wait_for_release(struct rpc_server *server, struct error *error)
{
	const char *path = server->path;
	int rc = 0;

	while (!rc && server->held && !server->ending)
		rc = fiber_queue_wait(&server->released, FIBER_FOREVER);
	if (!rc && !server->ending)
		return 0;
	if (!rc)
		rc = fiber_queue_wait(&server->released, RPC_ENDING_NS);
	if (rc != -ETIMEDOUT)
		return error_set(error, -ECONNREFUSED, "%s: the server that was there has ended",
				 path);
	error_set(error, -EBUSY,
		  "%s: process %d, which serves there, is ending, and waits for its devices or "
		  "machines",
		  path, (int)getpid());
	return error_advise(error, "nothing was done; ask again once it has ended");
}

/* Whether the client has closed its connection: it was interrupted, has ended or waits no longer. One that has only shut down
 * its sending half reads on (unix(7): that is no POLLHUP). */
static bool has_hung_up(int fd)
{
	struct pollfd entry = { .fd = fd };

	return poll(&entry, 1, 0) == 1 && entry.revents & POLLHUP;
}

/* Who asked takes it for not done. Without a question nobody waits for an answer (a notification), and it is done. */
static bool is_given_up(const struct rpc_connection *connection, const char *line, size_t length)
{
	const struct rpc_server *server = server_of(&connection->accepted);
	CLEANUP_FREE char *method = NULL;

	if (!has_hung_up(connection->accepted.fd))
		return false;
	method = rpc_question_of_line(line, length);
	if (method)
		log_warning(
			server->log,
			"%s: %.64s was not done: process %d, which asked for it, had gone before "
			"it was begun",
			server->path, method, (int)unix_socket_peer(connection->accepted.fd));
	return method != NULL;
}

/* A method runs: the end of the server waits for its answer. */
static void begin_running(struct rpc_connection *connection)
{
	connection->running = true;
	server_of(&connection->accepted)->running++;
}

static void end_running(struct rpc_connection *connection)
{
	struct rpc_server *server = server_of(&connection->accepted);

	connection->running = false;
	if (!--server->running)
		fiber_queue_wake_all(&server->idle);
}

static int answer_line(struct rpc_connection *connection, const char *line, size_t length)
{
	struct rpc_server *server = server_of(&connection->accepted);
	CLEANUP_FREE char *answer = NULL;
	struct error error = { 0 };
	int rc = wait_for_release(server, &error);

	if (!rc && is_given_up(connection, line, length))
		return 0;
	begin_running(connection);
	answer = rc ? rpc_refuse_line(line, length, rc, &error)
		    : rpc_handle_line(server->methods, server->context, line, length);
	rc = answer ? rpc_write_line(connection->accepted.fd, answer, &rpc_server_patience) : 0;
	end_running(connection);
	return rc;
}

/* One page, and the end of the connection. */
static int show_page(struct rpc_connection *connection, struct rpc_reader *reader, const char *line,
		     size_t length)
{
	struct rpc_server *server = server_of(&connection->accepted);
	CLEANUP_FREE char *answer = NULL;
	struct rpc_http_request request;
	struct error error = { 0 };
	int rc = rpc_http_read(&request, reader, line, length);

	if (rc <= 0)
		return rc;
	rc = wait_for_release(server, &error);
	begin_running(connection);
	answer = rc ? rpc_http_refuse(503, error.text)
		    : rpc_http_answer(&request, server->pages, server->context);
	rc = answer ? rpc_write_text(connection->accepted.fd, answer, &rpc_server_patience) : 0;
	end_running(connection);
	return rc;
}

static void rpc_connection_run(struct accepted *client)
{
	struct rpc_connection *connection = container_of(client, struct rpc_connection, accepted);
	const struct rpc_server *server = server_of(client);
	struct rpc_reader reader = { .fd = client->fd,
				     .patience = &rpc_server_patience,
				     .most = RPC_MESSAGE_MAX };
	size_t length;
	char *line;
	int rc;

	while ((rc = rpc_read_line(&reader, &line, &length)) > 0) {
		bool page = rpc_http_is_request(line, length);

		rc = page ? show_page(connection, &reader, line, length)
			  : answer_line(connection, line, length);
		if (rc || page)
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
}

/* He is told, or would take the server for one that has ended. What he asks has not been read; all fits into an empty socket. */
static void rpc_server_full(struct acceptor *acceptor, int fd)
{
	const struct rpc_server *server = container_of(acceptor, struct rpc_server, acceptor);
	CLEANUP_FREE char *answer = NULL;
	struct error error = { 0 };
	ssize_t unused;

	log_warning(server->log, "%s: turned a client away: there are %u", server->listener.path,
		    RPC_CONNECTIONS);
	error_set(&error, -EBUSY,
		  "%s: process %d, which serves there, has %u clients, and takes no more",
		  server->path, (int)getpid(), RPC_CONNECTIONS);
	error_advise(&error, "nothing was done; ask again when some of them have ended");
	answer = rpc_refuse_line("", 0, -EBUSY, &error);
	if (!answer)
		return;
	unused = send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
	unused = send(fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)unused;
}

int rpc_server_start(struct rpc_server **out, const char *path, const struct rpc_method *methods,
		     void *context, struct log *log, struct error *error)
{
	struct rpc_server *server = calloc(1, sizeof(*server));
	int rc = server && (server->path = strdup(path))
			 ? unix_listen(&server->listener, path, error)
			 : error_set(error, -ENOMEM, "%s: no memory", path);

	if (rc) {
		if (server)
			free(server->path);
		free(server);
		return rc;
	}
	server->methods = methods;
	server->context = context;
	server->log = log;
	fiber_queue_init(&server->released);
	fiber_queue_init(&server->idle);
	server->acceptor = (struct acceptor){ .fd = server->listener.fd,
					      .most = RPC_CONNECTIONS,
					      .size = sizeof(struct rpc_connection),
					      .run = rpc_connection_run,
					      .full = rpc_server_full };
	acceptor_begin(&server->acceptor);
	*out = server;
	return 0;
}

void rpc_server_show_pages(struct rpc_server *server, const struct rpc_page *pages)
{
	server->pages = pages;
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

void rpc_server_drain(struct rpc_server *server)
{
	if (!server || server->ending)
		return;
	server->ending = true;
	fiber_queue_wake_all(&server->released);
	list_for_each(at, &server->acceptor.clients) {
		struct accepted *client = list_entry(at, struct accepted, node);

		if (container_of(client, struct rpc_connection, accepted)->running)
			fiber_cancel(client->fiber);
	}
	while (server->running)
		fiber_queue_wait_always(&server->idle);
}

void rpc_server_stop(struct rpc_server *server)
{
	if (!server)
		return;
	rpc_server_drain(server);
	acceptor_close(&server->acceptor);
	unix_listener_close(&server->listener);
	acceptor_end(&server->acceptor);
	free(server->path);
	free(server);
}
