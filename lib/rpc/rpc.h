/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control sockets: JSON-RPC 2.0 over a Unix stream socket, one message a line.
 *
 * A server answers requests of any number of clients on fibers of its worker; a method runs on the
 * fiber of its connection and may suspend. A failed method answers with error code -32000, the error's
 * text as message, and {"errno": NUMBER, "advice": TEXT} as data, from which the client makes the same
 * `struct error` again. Peers are hostile: a request is at most RPC_MESSAGE_MAX bytes, an answer
 * RPC_ANSWER_MAX, and both are nested at most as deep as jansson allows (2048); a connection that sends
 * more is closed, as is one that does not finish a line or does not take its answer within RPC_PEER_NS, or
 * asks nothing for RPC_IDLE_NS. A server has RPC_CONNECTIONS at most.
 *
 * A request whose client has closed its connection before it is begun is not carried out: whoever asked was interrupted or has
 * given up, and would be surprised (the server was stopped, or had not released its clients yet). The log tells. A client that only shuts down its
 * sending half has its answers; notifications, to which there are none, are carried out. What has begun goes on.
 *
 * Source: the JSON-RPC 2.0 specification (jsonrpc.org), sections 4 to 6. Batches are not offered.
 */
#ifndef TENON_RPC_RPC_H
#define TENON_RPC_RPC_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct log;
struct rpc_server;

#define RPC_MESSAGE_MAX (4u << 20)  /* a request */
#define RPC_ANSWER_MAX  (64u << 20) /* what a client reads of an answer */
#define RPC_PEER_NS     (30 * 1000000000ull)
#define RPC_IDLE_NS     (300 * 1000000000ull)
#define RPC_BUSY_NS     (30 * 1000000000ull)
#define RPC_CONNECTIONS 256u

/*
 * A method. `params` is an object (empty where the request had none) and stays the caller's. On success
 * returns 0, with *result a new reference (NULL means null). On failure a negative errno with `error`
 * set.
 */
typedef int rpc_method_fn(void *context, json_t *params, json_t **result, struct error *error);

struct rpc_method {
	const char *name;
	rpc_method_fn *call;
};

/* A page for those who ask by HTTP, as `curl --unix-socket PATH http://localhost/metrics` does: the string that the method gives. */
struct rpc_page {
	const char *target; /* "/metrics" */
	const char *type;   /* of its content */
	rpc_method_fn *call;
};

/*
 * Listens at `path` (mode 0600; a stale socket is replaced, a live one refused with -EADDRINUSE) and
 * serves `methods`, an array ended by a NULL name, which must outlive the server. Called on a fiber or
 * in a posted function of the worker that is to serve. 0, or a negative errno with `error` set.
 */
int rpc_server_start(struct rpc_server **out, const char *path, const struct rpc_method *methods,
		     void *context, struct log *log, struct error *error);

/* Has it give these pages, too; an array ended by a NULL target, which must outlive the server. */
void rpc_server_show_pages(struct rpc_server *server, const struct rpc_page *pages);

/* From the call on, requests wait until they are released, or the server stops: for a server whose clients are to find it
 * before it has what they ask about. */
void rpc_server_hold(struct rpc_server *server);
void rpc_server_release(struct rpc_server *server);

/*
 * The beginning of the end: no request is begun any more; those that run are cancelled, which suspends until they have
 * ended. Clients are still taken, and wait: they hear that nothing was done when the server stops, and what it had is
 * free for them then; or after RPC_ENDING_NS that it is ending yet (-EBUSY). NULL is fine.
 */
void rpc_server_drain(struct rpc_server *server);

#define RPC_ENDING_NS (2 * 1000000000ull)

/* Drains it, closes the listening socket (and removes it) and all connections. NULL is fine. */
void rpc_server_stop(struct rpc_server *server);

/*
 * One call, on a fiber: connects to `path`, sends, waits for the answer. `params` is stolen (NULL:
 * none). *result is a new reference. -ENOENT or -ECONNREFUSED when nobody listens there, or has ended before it had
 * read the request (nothing was done); -EPIPE when it ended after that, and whether the method was carried
 * out is not known; the server's errno and text when the method failed; -EPROTO for an answer that is none; -ETIMEDOUT when there was
 * none in `limit_ns`, or for a second from a process that is stopped: `error` says from which process and
 * since when it runs, and whether the method was begun is not known (if not, it never is). Of one that hangs, that is: while one
 * works, or waits for a processor, time is not counted, up to RPC_BUSY_NS. `result` may be NULL.
 */
int rpc_call_within(const char *path, const char *method, json_t *params, uint64_t limit_ns,
		    json_t **result, struct error *error);

/* The same, and how many bytes the answer had, whatever it was: for who asks again and again. */
int rpc_call_measured(const char *path, const char *method, json_t *params, uint64_t limit_ns,
		      json_t **result, size_t *bytes, struct error *error);

/* Within RPC_CALL_NS: enough for a change on a slow disk. */
int rpc_call(const char *path, const char *method, json_t *params, json_t **result,
	     struct error *error);

#define RPC_CALL_NS (60 * 1000000000ull)

/* For methods: the member `key` of `params`, or -EINVAL with `error` naming it. */
int rpc_param_string(json_t *params, const char *key, const char **value, struct error *error);

/* Handles one request line and returns the answer line (malloc, without newline), or NULL for a
 * notification. What the server runs for each line; public for the fuzz target and tests. */
char *rpc_handle_line(const struct rpc_method *methods, void *context, const char *line,
		      size_t length);
/* The method that a request asks for an answer to (malloc); NULL for a notification, for what is no request, or without memory. */
char *rpc_question_of_line(const char *line, size_t length);
/* The answer to a request that is not carried out. */
char *rpc_refuse_line(const char *line, size_t length, int rc, const struct error *error);

#endif
