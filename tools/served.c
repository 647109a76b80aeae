/* SPDX-License-Identifier: BSD-2-Clause */
/* See served.h. */
#include "tools/served.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fiber/fiber.h"
#include "rpc/rpc.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/runtime.h"
#include "util/cleanup.h"
#include "util/error.h"

/* A listing does not wait long for what is only a part of it. */
#define EXPORTS_NS (3 * 1000000000ull)

/* One server that is asked for all its exports. */
struct asking {
	const char *path;
	struct fiber *fiber;
	json_t *by_id;
};

static int note_path(const char *path, void *arg)
{
	cli_words_add(arg, cli_keep_text(path));
	return 0;
}

static int ask(void *arg)
{
	struct asking *asking = arg;
	json_int_t from = 0;
	bool more = true;

	while (more) {
		struct error error = { 0 };
		json_t *answer = NULL, *exports, *export;
		size_t index;
		int rc = rpc_call_within(asking->path, "server.exports",
					 json_pack("{s:I}", "from", from), EXPORTS_NS, &answer,
					 &error);

		if (rc == -ETIMEDOUT)
			cli_note("%s", error.text);
		exports = json_object_get(answer, "exports");
		json_array_foreach(exports, index, export) {
			const char *id = json_string_value(json_object_get(export, "id"));

			if (id)
				json_object_set(asking->by_id, id, export);
		}
		from += (json_int_t)json_array_size(exports);
		more = !rc && json_array_size(exports) &&
		       json_is_true(json_object_get(answer, "more"));
		json_decref(answer);
	}
	return 0;
}

static int add_to(json_t *row, json_t *by_id)
{
	const char *id = json_string_value(json_object_get(row, "serial"));
	json_t *export = id ? json_object_get(by_id, id) : NULL;
	json_t *problem = json_object_get(export, "problem");
	json_t *serial = json_object_get(export, "serial");
	CLEANUP_FREE char *why = NULL;

	if (json_is_string(problem) &&
	    asprintf(&why, "not served: %s", json_string_value(problem)) < 0) {
		why = NULL;
		return -ENOMEM;
	}
	if (why)
		json_object_set_new(row, "served", describe_text(why));
	else if (export)
		json_object_set(row, "served", json_object_get(export, "socket"));
	else
		json_object_set_new(row, "served", json_null());
	if (json_is_string(serial))
		json_object_set(row, "serial", serial);
	if (json_is_integer(json_object_get(export, "clients")))
		json_object_set(row, "clients", json_object_get(export, "clients"));
	else
		json_object_set_new(row, "clients", json_null());
	return 0;
}

int served_add(json_t *rows)
{
	struct cli_words paths = { 0 };
	CLEANUP_FREE struct asking *all = NULL;
	json_t *by_id = NULL, *row;
	size_t index;
	int rc = 0;

	runtime_each_socket("serve-", note_path, &paths);
	all = calloc(paths.count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	by_id = json_object();
	for (unsigned i = 0; i < paths.count; i++) {
		all[i] = (struct asking){ .path = paths.words[i], .by_id = by_id };
		all[i].fiber = fiber_spawn(ask, &all[i]);
	}
	for (unsigned i = 0; i < paths.count; i++)
		fiber_join(all[i].fiber);
	if (json_is_object(rows))
		rc = add_to(rows, by_id);
	json_array_foreach(rows, index, row)
		rc = rc ? rc : add_to(row, by_id);
	json_decref(by_id);
	return rc;
}
