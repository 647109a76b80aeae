/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages for those who ask a server of rpc.h by HTTP/1.x: GET and HEAD, one request for each connection, no bodies.
 *
 * Source: RFC 9112, 3 (the request line) and 5 (fields); RFC 9110, 15 (what statuses mean).
 */
#ifndef TENON_RPC_RPC_HTTP_H
#define TENON_RPC_RPC_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "rpc/rpc.h"
#include "rpc/rpc_line.h"

#define RPC_HTTP_HEAD_MAX (64u << 10) /* bytes of a request */
#define RPC_HTTP_TARGET   256

struct rpc_http_request {
	unsigned status; /* 0: it is to be answered; else what is wrong with it */
	bool head;
	char target[RPC_HTTP_TARGET]; /* without what a "?" begins */
};

/* Whether a line begins a request of HTTP/1.x: JSON is none. */
bool rpc_http_is_request(const char *line, size_t length);

/* Reads the fields that follow that line, until an empty one. As rpc_read_line(). Suspends. */
int rpc_http_read(struct rpc_http_request *request, struct rpc_reader *reader, const char *line,
		  size_t length);

/* The whole answer (malloc), or NULL without memory. `pages` may be NULL. */
char *rpc_http_answer(const struct rpc_http_request *request, const struct rpc_page *pages,
		      void *context);
/* The same, where nothing is done. */
char *rpc_http_refuse(unsigned status, const char *why);

#endif
