/* The client half of rpc.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "rpc/rpc_line.h"
#include "util/cleanup.h"
#include "util/error.h"

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

int rpc_call(const char *path, const char *method, json_t *params, json_t **result,
	     struct error *error)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				    method, "params", params ? params : json_object());
	CLEANUP_FREE char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	CLEANUP_CLOSE int fd = -1;
	struct rpc_reader reader;
	size_t length;
	char *line;
	int rc;

	json_decref(request);
	if (!text)
		return error_set(error, -EINVAL, "%s: the parameters are not UTF-8 text", method);
	fd = fiber_connect_unix(path);
	if (fd < 0)
		return error_set(error, fd, "%s: cannot connect: %s", path, error_name(fd));
	reader = (struct rpc_reader){ .fd = fd };
	rc = rpc_write_line(fd, text);
	if (!rc)
		rc = rpc_read_line(&reader, &line, &length);
	if (rc > 0)
		rc = rpc_unpack(line, length, path, result, error);
	else
		rc = error_set(error, rc ? rc : -EPIPE, "%s: the server went away: %s", path,
			       rc ? error_name(rc) : "connection closed");
	rpc_reader_free(&reader);
	return rc;
}
