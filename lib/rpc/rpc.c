/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and answers of JSON-RPC 2.0, without I/O; see rpc.h. */
#include "rpc/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

enum {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_METHOD_FAILED = -32000,
};

int rpc_param_string(json_t *params, const char *key, const char **value, struct error *error)
{
	json_t *member = json_object_get(params, key);

	if (!json_is_string(member))
		return error_set(error, -EINVAL, "parameter '%s': expected a string, found %s", key,
				 member ? "something else" : "nothing");
	*value = json_string_value(member);
	return 0;
}

static char *rpc_answer(json_t *id, const char *key, json_t *value)
{
	json_t *answer = json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, key,
				   value ? value : json_null());
	char *line = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	return line;
}

static char *rpc_refuse(json_t *id, int code, const char *message)
{
	return rpc_answer(id, "error", json_pack("{s:i, s:s}", "code", code, "message", message));
}

static char *rpc_failed(json_t *id, int rc, const struct error *error)
{
	const char *text = error->text[0] ? error->text : error_name(rc);
	json_t *value = json_pack("{s:i, s:s, s:{s:i, s:s}}", "code", (int)RPC_METHOD_FAILED,
				  "message", text, "data", "errno", -rc, "advice", error->advice);

	/* A text that is not UTF-8 (a file name, perhaps) makes no JSON. */
	return value ? rpc_answer(id, "error", value)
		     : rpc_refuse(id, RPC_METHOD_FAILED, error_name(rc));
}

static char *rpc_dispatch(const struct rpc_method *methods, void *context, json_t *request,
			  json_t *id)
{
	const char *name = json_string_value(json_object_get(request, "method"));
	const char *version = json_string_value(json_object_get(request, "jsonrpc"));
	json_t *params = json_object_get(request, "params");
	struct error error = { 0 };
	json_t *result = NULL;
	int rc;

	if (!name || !version || strcmp(version, "2.0"))
		return rpc_refuse(id, RPC_INVALID_REQUEST, "not a JSON-RPC 2.0 request");
	if (params && !json_is_object(params))
		return rpc_refuse(id, RPC_INVALID_PARAMS, "params must be an object");
	while (methods->name && strcmp(methods->name, name))
		methods++;
	if (!methods->name)
		return rpc_refuse(id, RPC_METHOD_NOT_FOUND, "no such method");
	params = params ? json_incref(params) : json_object();
	rc = methods->call(context, params, &result, &error);
	json_decref(params);
	if (rc < 0) {
		json_decref(result);
		return rpc_failed(id, rc, &error);
	}
	return rpc_answer(id, "result", result);
}

char *rpc_handle_line(const struct rpc_method *methods, void *context, const char *line,
		      size_t length)
{
	json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *id = json_object_get(request, "id");
	char *answer;

	if (!request)
		return rpc_refuse(json_null(), RPC_PARSE_ERROR, "not JSON");
	if (!json_is_object(request) ||
	    (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id)))
		answer = rpc_refuse(json_null(), RPC_INVALID_REQUEST, "not a request");
	else
		answer = rpc_dispatch(methods, context, request, id ? id : json_null());
	if (json_is_object(request) && !id) {
		free(answer);
		answer = NULL;
	}
	json_decref(request);
	return answer;
}

char *rpc_question_of_line(const char *line, size_t length)
{
	json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "method"));
	char *method = name && json_object_get(request, "id") ? strdup(name) : NULL;

	json_decref(request);
	return method;
}

char *rpc_refuse_line(const char *line, size_t length, int rc, const struct error *error)
{
	json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *id = json_object_get(request, "id");
	char *answer = rpc_failed(id ? id : json_null(), rc, error);

	json_decref(request);
	return answer;
}
