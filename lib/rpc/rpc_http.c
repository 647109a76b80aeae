/* SPDX-License-Identifier: BSD-2-Clause */
/* See rpc_http.h. */
#include "rpc/rpc_http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

static const char *phrase(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

static size_t without_return(const char *line, size_t length)
{
	return length && line[length - 1] == '\r' ? length - 1 : length;
}

bool rpc_http_is_request(const char *line, size_t length)
{
	static const char version[] = " HTTP/1.";
	const size_t tail = sizeof(version); /* and a digit */

	length = without_return(line, length);
	return length > tail && line[0] >= 'A' && line[0] <= 'Z' &&
	       !memcmp(line + length - tail, version, tail - 1) && line[length - 1] >= '0' &&
	       line[length - 1] <= '9';
}

/* METHOD SP TARGET SP VERSION */
static unsigned read_first(struct rpc_http_request *request, const char *line, size_t length)
{
	const char *end = line + without_return(line, length) - strlen(" HTTP/1.1");
	const char *space = memchr(line, ' ', (size_t)(end - line));
	const char *target = space ? space + 1 : end;
	size_t size = (size_t)(end - target);
	const char *query = memchr(target, '?', size);

	size = query ? (size_t)(query - target) : size;
	if (!size || target[0] != '/' || memchr(target, ' ', size) || memchr(target, '\0', size))
		return 400;
	if (size >= sizeof(request->target))
		return 414;
	memcpy(request->target, target, size);
	request->target[size] = '\0';
	request->head = (size_t)(space - line) == 4 && !memcmp(line, "HEAD", 4);
	if (!request->head && ((size_t)(space - line) != 3 || memcmp(line, "GET", 3) != 0))
		return 405;
	return 0;
}

int rpc_http_read(struct rpc_http_request *request, struct rpc_reader *reader, const char *line,
		  size_t length)
{
	size_t room = RPC_HTTP_HEAD_MAX;
	char *field;
	int rc;

	*request = (struct rpc_http_request){ 0 };
	request->status = read_first(request, line, length);
	do {
		rc = rpc_read_line(reader, &field, &length);
		if (rc <= 0)
			return rc;
		if (length + 1 > room) {
			request->status = 431;
			return 1;
		}
		room -= length + 1;
	} while (without_return(field, length));
	return 1;
}

static char *answer(unsigned status, const char *type, const char *body, bool head)
{
	char *text = NULL;

	if (asprintf(&text,
		     "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
		     "Connection: close\r\n\r\n%s",
		     status, phrase(status), type, strlen(body),
		     status == 405 ? "Allow: GET, HEAD\r\n" : "", head ? "" : body) < 0)
		return NULL;
	return text;
}

char *rpc_http_refuse(unsigned status, const char *why)
{
	char body[sizeof(((struct error *)NULL)->text) + 2];

	snprintf(body, sizeof(body), "%s\n", why);
	return answer(status, TEXT_TYPE, body, false);
}

/* Which pages there are. */
static char *not_found(const struct rpc_http_request *request, const struct rpc_page *pages)
{
	char body[256] = "no such page; expected";
	size_t used = strlen(body);

	for (; pages && pages->target && used < sizeof(body); pages++)
		used += (size_t)snprintf(body + used, sizeof(body) - used, " %s", pages->target);
	snprintf(body + MIN(used, sizeof(body) - 2), 2, "\n");
	return answer(404, TEXT_TYPE, body, request->head);
}

char *rpc_http_answer(const struct rpc_http_request *request, const struct rpc_page *pages,
		      void *context)
{
	const struct rpc_page *page = pages;
	struct error error = { 0 };
	json_t *result = NULL, *params;
	const char *body;
	char *text;
	int rc;

	if (request->status)
		return rpc_http_refuse(request->status, request->status == 405
								? "expected GET or HEAD"
								: phrase(request->status));
	while (page && page->target && strcmp(page->target, request->target))
		page++;
	if (!page || !page->target)
		return not_found(request, pages);
	params = json_object();
	rc = params ? page->call(context, params, &result, &error) : -ENOMEM;
	body = json_string_value(result);
	text = rc || !body ? rpc_http_refuse(500, error.text[0] ? error.text : error_name(rc))
			   : answer(200, page->type, body, request->head);
	json_decref(params);
	json_decref(result);
	return text;
}
