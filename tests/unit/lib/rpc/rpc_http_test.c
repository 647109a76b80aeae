/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/rpc: pages by HTTP, beside the requests of the same socket. */
#include "fiber_run.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "rpc/rpc_http.h"
#include "util/bytes.h"
#include "util/error.h"

static int method_page(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)context, (void)params, (void)error;
	*result = json_string("one 1\n");
	return 0;
}

static int method_fails(void *context, json_t *params, json_t **result, struct error *error)
{
	(void)context, (void)params, (void)result;
	return error_set(error, -EIO, "no counters");
}

static const struct rpc_method methods[] = { { "page", method_page }, { NULL, NULL } };
static const struct rpc_page pages[] = { { "/metrics", "text/plain; version=0.0.4", method_page },
					 { "/bad", "text/plain", method_fails },
					 { NULL, NULL, NULL } };

#define HEAD(status, type, length)                                                                 \
	"HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " length "\r\n"
#define END  "Connection: close\r\n\r\n"
#define TEXT "text/plain; charset=utf-8"
#define PAGE HEAD("200 OK", "text/plain; version=0.0.4", "6") END

static const struct exchange {
	const char *request, *answer;
} exchanges[] = {
	{ "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", PAGE "one 1\n" },
	{ "GET /metrics?a=b HTTP/1.0\n\n", PAGE "one 1\n" },
	{ "HEAD /metrics HTTP/1.1\r\n\r\n", PAGE },
	/* One request for each connection. */
	{ "GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n", PAGE "one 1\n" },
	{ "GET / HTTP/1.1\r\n\r\n",
	  HEAD("404 Not Found", TEXT, "37") END "no such page; expected /metrics /bad\n" },
	{ "HEAD /metricsx HTTP/1.1\r\n\r\n", HEAD("404 Not Found", TEXT, "37") END },
	{ "POST /metrics HTTP/1.1\r\n\r\n",
	  HEAD("405 Method Not Allowed", TEXT, "21") "Allow: GET, HEAD\r\n" END
						     "expected GET or HEAD\n" },
	{ "get /metrics HTTP/1.1\r\n\r\n", NULL },
	{ "GET metrics HTTP/1.1\r\n\r\n", HEAD("400 Bad Request", TEXT, "12") END "Bad Request\n" },
	{ "GET /a b HTTP/1.1\r\n\r\n", HEAD("400 Bad Request", TEXT, "12") END "Bad Request\n" },
	{ "GET  HTTP/1.1\r\n\r\n", HEAD("400 Bad Request", TEXT, "12") END "Bad Request\n" },
	{ "G HTTP/1.1\r\n\r\n", HEAD("400 Bad Request", TEXT, "12") END "Bad Request\n" },
	{ "GET /bad HTTP/1.1\r\n\r\n",
	  HEAD("500 Internal Server Error", TEXT, "12") END "no counters\n" },
	/* It leaves in the middle. */
	{ "GET /metrics HTTP/1.1\r\nHost:", "" },
};

/* What a server says to `request`, until it closes the connection. */
static char *ask_server(const char *path, const char *request, size_t length)
{
	int fd = fiber_connect_unix(path);
	char *answer = calloc(1, 1 << 16);
	size_t used = 0;
	ssize_t got;

	CU_ASSERT_FATAL(fd >= 0 && answer);
	(void)fiber_write(fd, request, length); /* it may have had enough before that is all */
	shutdown(fd, SHUT_WR);
	while ((got = fiber_read(fd, answer + used, (1 << 16) - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	return answer;
}

static void check_long(const char *path)
{
	const size_t length = 2 * RPC_HTTP_HEAD_MAX;
	char *request = malloc(length), *answer;

	CU_ASSERT_FATAL(request != NULL);
	memset(request, 'a', length);
	memcpy(request, "GET /", 5);
	memcpy(request + RPC_HTTP_TARGET + 5, " HTTP/1.1\r\n\r\n", 13);
	answer = ask_server(path, request, RPC_HTTP_TARGET + 18);
	CU_ASSERT(strstr(answer, "HTTP/1.1 414 ") == answer);
	free(answer);

	/* Fields that never end: short ones, and a long one. */
	for (unsigned round = 0; round < 2; round++) {
		size_t every = round ? length : 5;

		for (size_t i = 0; i < length; i++)
			request[i] = i % every == every - 1 ? '\n' : 'a';
		memcpy(request, "GET /metrics HTTP/1.1\r\n", 23);
		answer = ask_server(path, request, length);
		CU_ASSERT(strstr(answer, "HTTP/1.1 431 ") == answer);
		free(answer);
	}
	free(request);
}

static int pages_run(void *arg)
{
	struct rpc_server *server;
	char *answer;

	CU_ASSERT_EQUAL_FATAL(rpc_server_start(&server, arg, methods, NULL, NULL, NULL), 0);
	answer = ask_server(arg, exchanges[0].request, strlen(exchanges[0].request));
	CU_ASSERT(strstr(answer, "HTTP/1.1 404 ") == answer);
	free(answer);
	rpc_server_show_pages(server, pages);
	for (unsigned i = 0; i < ARRAY_SIZE(exchanges); i++) {
		answer = ask_server(arg, exchanges[i].request, strlen(exchanges[i].request));
		if (exchanges[i].answer && strcmp(answer, exchanges[i].answer))
			printf("%s: %s\n", exchanges[i].request, answer);
		if (exchanges[i].answer)
			CU_ASSERT_STRING_EQUAL(answer, exchanges[i].answer);
		/* No HTTP: no JSON either. */
		if (!exchanges[i].answer)
			CU_ASSERT(strstr(answer, "not JSON") != NULL);
		free(answer);
	}
	check_long(arg);
	rpc_server_stop(server);
	return 0;
}

static void test_pages_are_given_by_http(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/pages.sock", unit_directory());
	fiber_run_virtual(WORKER_ENGINE_AUTO, pages_run, path);
}

UNIT_MAIN("rpc_http", UNIT(test_pages_are_given_by_http))
