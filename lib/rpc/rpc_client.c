/* SPDX-License-Identifier: BSD-2-Clause */
/* The client half of rpc.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "rpc/rpc_line.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/process.h"
#include "util/unix_socket.h"

#define RPC_RETRY_NS (1000 * 1000ull)

static int rpc_unpack_error(json_t *answer, const char *path, struct error *error)
{
	json_t *failure = json_object_get(answer, "error");
	json_t *data = json_object_get(failure, "data");
	const char *message = json_string_value(json_object_get(failure, "message"));
	const char *advice = json_string_value(json_object_get(data, "advice"));
	long long number = json_integer_value(json_object_get(data, "errno"));
	int rc = number > 0 && number < 4096 ? -(int)number : -EPROTO;

	if (!message)
		return error_set(error, -EPROTO, "%s: answered neither result nor error", path);
	error_set(error, rc, "%s", message);
	if (advice && *advice)
		error_advise(error, "%s", advice);
	return rc;
}

static int rpc_unpack(const char *line, size_t length, const char *path, json_t **result,
		      struct error *error)
{
	json_t *answer = json_loadb(line, length, 0, NULL);
	json_t *value = json_object_get(answer, "result");
	int rc = 0;

	if (!json_is_object(answer))
		rc = error_set(error, -EPROTO, "%s: the answer is no JSON object", path);
	else if (!value)
		rc = rpc_unpack_error(answer, path, error);
	else if (result)
		*result = json_incref(value);
	json_decref(answer);
	return rc;
}

/* "SOCKET: no answer to METHOD in N s from process 123 (...)": whom was waited for, and what to do. */
static int rpc_say_timeout(const char *path, const char *method, pid_t peer, uint64_t waited_ns,
			   struct error *error)
{
	char who[PROCESS_TEXT] = "the server, whose queue of clients is full";
	bool stopped = peer && process_is_stopped(peer);

	if (peer)
		process_describe(peer, who);
	if (stopped)
		error_set(error, -ETIMEDOUT, "%s: no answer to %s from %s", path, method, who);
	else
		error_set(error, -ETIMEDOUT, "%s: no answer to %s in %llu s from %s", path, method,
			  (unsigned long long)(waited_ns / 1000000000), who);
	if (stopped)
		error_advise(
			error,
			"`kill -CONT %d` lets it go on; what was asked is done then only if it "
			"had been begun",
			(int)peer);
	else
		error_advise(error,
			     "if it was begun it may be done yet: look before you ask again; "
			     "a disk that does not answer may hold the server");
	return -ETIMEDOUT;
}

/*
 * The line's newline goes last. Where it could not be sent any more, or the server closed its end with something unread
 * in it, which is how a connection is reset, the request was not read whole and nothing was done. One that closed after
 * it had read all may have done it.
 */
static int rpc_say_ended(const char *path, const char *method, int rc, struct error *error)
{
	if (rc == -EPIPE || rc == -ECONNRESET)
		return error_set(error, -ECONNREFUSED, "%s: the server that was there has ended",
				 path);
	if (rc == -EMSGSIZE)
		return error_set(error, rc,
				 "%s: the answer to %s is longer than the %u bytes that are read",
				 path, method, RPC_ANSWER_MAX);
	if (rc)
		return error_set(error, rc, "%s: the server went away: %s", path, error_name(rc));
	error_set(error, -EPIPE, "%s: the server ended before it answered to %s", path, method);
	error_advise(error, "it may be done: look before you ask again");
	return -EPIPE;
}

static int wait_within(void *arg)
{
	const uint64_t *until = arg;

	return worker_now() < *until ? fiber_sleep(RPC_RETRY_NS) : -ETIMEDOUT;
}

static bool answer_waits(int fd)
{
	char first;

	return recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

int rpc_call_measured(const char *path, const char *method, json_t *params, uint64_t limit_ns,
		      json_t **result, size_t *bytes, struct error *error)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				    method, "params", params ? params : json_object());
	CLEANUP_FREE char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	uint64_t began = worker_now(), until = began + limit_ns;
	struct rpc_patience patience = { .idle_ns = limit_ns,
					 .line_ns = limit_ns,
					 .latest = until + RPC_BUSY_NS };
	CLEANUP_CLOSE int fd = -1;
	struct rpc_reader reader;
	size_t length;
	char *line;
	int rc;

	json_decref(request);
	*bytes = 0;
	if (!text)
		return error_set(error, -EINVAL, "%s: the parameters are not UTF-8 text", method);
	fd = unix_socket_connect_with(path, wait_within, &until, error);
	if (fd == -ETIMEDOUT)
		return rpc_say_timeout(path, method, 0, worker_now() - began, error);
	if (fd < 0)
		return fd;
	patience.peer = unix_socket_peer(fd);
	reader = (struct rpc_reader){ .fd = fd, .patience = &patience, .most = RPC_ANSWER_MAX };
	rc = rpc_write_line(fd, text, &patience);
	/* Who turned us away has said why before it closed its end. */
	if (!rc || ((rc == -EPIPE || rc == -ECONNRESET) && answer_waits(fd)))
		rc = rpc_read_line(&reader, &line, &length);
	if (rc > 0)
		*bytes = length;
	if (rc > 0)
		rc = rpc_unpack(line, length, path, result, error);
	else if (rc == -ETIMEDOUT)
		rpc_say_timeout(path, method, patience.peer, worker_now() - began, error);
	else
		rc = rpc_say_ended(path, method, rc, error);
	rpc_reader_free(&reader);
	return rc;
}

int rpc_call_within(const char *path, const char *method, json_t *params, uint64_t limit_ns,
		    json_t **result, struct error *error)
{
	size_t bytes;

	return rpc_call_measured(path, method, params, limit_ns, result, &bytes, error);
}

int rpc_call(const char *path, const char *method, json_t *params, json_t **result,
	     struct error *error)
{
	return rpc_call_within(path, method, params, RPC_CALL_NS, result, error);
}
